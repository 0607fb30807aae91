//! Who may depend on whom: the table of rooms, enforced.
//!
//! A crate's normal and build dependencies are what its row allows. Its tests may use more: any
//! library that stands above it, itself with other features, and the test kit.

use serde_json::Value;

use self::MayUse::{Everything, LibrariesAbove, Only};

struct Room {
    folder: &'static str,
    may_use: MayUse,
}

enum MayUse {
    Only(&'static [&'static str]),
    LibrariesAbove,
    Everything,
}

/// In the order of the design: a library uses nothing that stands below it.
const ROOMS: &[Room] = &[
    Room {
        folder: "model",
        may_use: Only(&[]),
    },
    Room {
        folder: "storage",
        may_use: Only(&["model"]),
    },
    Room {
        folder: "schema-infer",
        may_use: Only(&["model"]),
    },
    Room {
        folder: "engine",
        may_use: Only(&["storage", "schema-infer", "model"]),
    },
    Room {
        folder: "search",
        may_use: Only(&["engine", "model"]),
    },
    Room {
        folder: "functions",
        may_use: Only(&["engine", "model"]),
    },
    Room {
        folder: "objects",
        may_use: Only(&["engine", "model"]),
    },
    Room {
        folder: "resolvers",
        may_use: Only(&[
            "engine",
            "schema-infer",
            "search",
            "functions",
            "objects",
            "model",
        ]),
    },
    Room {
        folder: "subscriptions",
        may_use: Only(&["engine", "model"]),
    },
    Room {
        folder: "federation",
        may_use: Only(&["schema-infer", "model"]),
    },
    Room {
        folder: "gateway",
        may_use: LibrariesAbove,
    },
    Room {
        folder: "thalweg",
        may_use: Everything,
    },
    Room {
        folder: "clients",
        may_use: Only(&["schema-infer"]),
    },
    Room {
        folder: "examples",
        may_use: Only(&[]),
    },
    Room {
        folder: "testkit",
        may_use: LibrariesAbove,
    },
    Room {
        folder: "xtask",
        // It fetches the examples that are not shipped, and starts PostgreSQL, for the tests.
        may_use: Only(&["examples", "storage"]),
    },
];

/// Not libraries: only the binary, and who names them in the table, may use them.
const NOT_LIBRARIES: &[&str] = &["thalweg", "clients", "examples", "testkit", "xtask"];

/// Checks the manifests as `cargo metadata --no-deps` shows them.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let mut findings = Vec::new();
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let folder = folder_of(name);
        let Some(position) = ROOMS.iter().position(|room| room.folder == folder) else {
            findings.push(format!(
                "{name}: no such room in the table of xtask/src/tidy/rooms.rs"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice);
        for dependency in dependencies.unwrap_or_default() {
            // Only what is taken from this repository has a path.
            if dependency["path"].is_null() {
                continue;
            }
            let used = folder_of(dependency["name"].as_str().unwrap_or_default());
            let in_tests = dependency["kind"] == "dev";
            if !allowed(position, used, in_tests) {
                let tests = if in_tests { " in its tests" } else { "" };
                findings.push(format!(
                    "{folder}/Cargo.toml: {folder} may not use {used}{tests}"
                ));
            }
        }
    }
    findings
}

fn allowed(position: usize, used: &str, in_tests: bool) -> bool {
    let room = &ROOMS[position];
    let library_above =
        ROOMS[..position].iter().any(|it| it.folder == used) && !NOT_LIBRARIES.contains(&used);
    let by_table = match room.may_use {
        Only(folders) => folders.contains(&used),
        LibrariesAbove => library_above,
        Everything => used != "xtask" && used != "testkit",
    };
    by_table || (in_tests && (library_above || used == "testkit" || used == room.folder))
}

fn folder_of(package: &str) -> &str {
    package.strip_prefix("thalweg-").unwrap_or(package)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn finding(package: &str, used: &str, kind: Option<&str>, expected: Option<&str>) {
        let metadata = json!({ "packages": [{
            "name": package,
            "dependencies": [
                { "name": "serde", "kind": null },
                { "name": used, "kind": kind, "path": "somewhere" },
            ],
        }]});
        let found = check(&metadata);
        match expected {
            Some(part) => assert!(found.len() == 1 && found[0].contains(part), "{found:?}"),
            None => assert!(found.is_empty(), "{found:?}"),
        }
    }

    #[test]
    fn the_table_is_enforced() {
        finding("thalweg-engine", "thalweg-storage", None, None);
        finding("thalweg-gateway", "thalweg-subscriptions", None, None);
        finding("thalweg", "thalweg-examples", None, None);
        finding("xtask", "thalweg-examples", None, None);
        finding(
            "thalweg-model",
            "thalweg-storage",
            None,
            Some("model may not use storage"),
        );
        finding(
            "thalweg-resolvers",
            "thalweg-storage",
            None,
            Some("resolvers may not use storage"),
        );
        finding(
            "thalweg-subscriptions",
            "thalweg-resolvers",
            Some("build"),
            Some("may not use"),
        );
        finding(
            "thalweg-gateway",
            "thalweg",
            None,
            Some("gateway may not use thalweg"),
        );
        finding(
            "xtask",
            "thalweg-model",
            None,
            Some("xtask may not use model"),
        );
        finding("thalweg-utils", "thalweg-model", None, Some("no such room"));
    }

    #[test]
    fn tests_may_use_what_stands_above() {
        let dev = Some("dev");
        finding("thalweg-resolvers", "thalweg-storage", dev, None);
        finding("thalweg-storage", "thalweg-storage", dev, None);
        finding("thalweg-engine", "thalweg-testkit", dev, None);
        finding("xtask", "thalweg-model", dev, None);
        finding(
            "thalweg-engine",
            "thalweg-gateway",
            dev,
            Some("in its tests"),
        );
        finding(
            "thalweg-gateway",
            "thalweg-examples",
            dev,
            Some("in its tests"),
        );
    }
}
