//! `cargo xtask setup`: the programs that `ci` needs beyond the Rust toolchain.
//!
//! Node.js and npm must be there already, in a version of the developer's choice. What Debian
//! packages is installed when this runs as root and `apt-get` exists; otherwise the message says
//! what to install.

use std::process::Command;

use anyhow::{Result, bail};
use thalweg_storage::conformance::postgres_server::PostgresServer;

use crate::{python, tools, workspace};

const NODE_MAJOR_MIN: u32 = 20;

/// A program that a Debian package provides.
struct Needed {
    package: &'static str,
    what_for: &'static str,
    present: fn() -> bool,
    /// Whether `ci` fails without it.
    required: bool,
}

const POSTGRES: Needed = Needed {
    package: "postgresql",
    what_for: "the tests of the store in PostgreSQL",
    present: || PostgresServer::programs().is_some(),
    required: true,
};

const NEEDED: &[Needed] = &[
    Needed {
        package: "chromium",
        what_for: "the end-to-end tests in a browser (or set CHROMIUM to one)",
        present: || tools::chromium().is_some(),
        required: true,
    },
    POSTGRES,
    Needed {
        package: "python3-venv",
        what_for: "the end-to-end tests with tools from Python",
        present: python::can_make_environments,
        required: true,
    },
    Needed {
        package: "wrk",
        what_for: "the request rates of `cargo xtask bench`",
        present: || tools::find("wrk").is_some(),
        required: false,
    },
];

/// Tries to install PostgreSQL. Whether it worked is seen when a server is started.
pub(crate) fn install_postgres() {
    install(&[&POSTGRES]);
}

/// Installs what can be installed, and fails with the list of what is missing.
pub(crate) fn run() -> Result<()> {
    let mut missing = node_problems(
        tools::first_line("node", &["--version"]).as_deref(),
        tools::first_line("npm", &["--version"]).as_deref(),
    );
    let absent: Vec<&Needed> = NEEDED.iter().filter(|needed| !(needed.present)()).collect();
    if !absent.is_empty() {
        install(&absent);
    }
    for Needed {
        package,
        what_for,
        present,
        required,
    } in absent
    {
        let line = format!("{package}: for {what_for}; apt-get install {package}");
        match (present(), required) {
            (true, _) => {}
            (false, true) => missing.push(line),
            (false, false) => println!("optional and missing: {line}"),
        }
    }
    if !missing.is_empty() {
        bail!("missing:\n  {}", missing.join("\n  "));
    }
    println!("all tools are there");
    Ok(())
}

fn node_problems(node: Option<&str>, npm: Option<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    let major = node.and_then(|it| it.trim_start_matches('v').split('.').next()?.parse().ok());
    match (node, major) {
        (Some(_), Some(NODE_MAJOR_MIN..=u32::MAX)) => {}
        (Some(version), _) => problems.push(format!(
            "Node.js {NODE_MAJOR_MIN} or newer: `node --version` says {version}",
        )),
        (None, _) => problems.push(format!("Node.js {NODE_MAJOR_MIN} or newer: no `node`")),
    }
    if npm.is_none() {
        problems.push("npm: it comes with Node.js".to_owned());
    }
    problems
}

/// Tries to install all packages at once, then each alone, so that an unknown one spoils nothing.
/// Whether it worked is seen by looking for the programs again.
fn install(absent: &[&Needed]) {
    if tools::find("apt-get").is_none() || !is_root() {
        return;
    }
    let _ = apt_get(&["update"]);
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    let options = arguments.len();
    arguments.extend(absent.iter().map(|needed| needed.package));
    if apt_get(&arguments).is_err() {
        for package in arguments.split_off(options) {
            let _ = apt_get(&["install", "--yes", "--no-install-recommends", package]);
        }
    }
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command: Command = tools::command("apt-get", arguments, workspace::root());
    tools::run(
        command
            .args(["--quiet=2", "--option", "Dpkg::Use-Pty=0"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Asks `id`, because the standard library has no call for it.
fn is_root() -> bool {
    tools::first_line("id", &["-u"]).as_deref() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::node_problems;

    #[test]
    fn node_must_be_new_enough() {
        for (node, npm, problems) in [
            (Some("v20.20.2"), Some("11.0.0"), 0),
            (Some("v24.0.0"), Some("11.0.0"), 0),
            (Some("v18.19.0"), Some("9.2.0"), 1),
            (Some("strange"), Some("9.2.0"), 1),
            (Some("v22.1.0"), None, 1),
            (None, None, 2),
        ] {
            assert_eq!(node_problems(node, npm).len(), problems, "{node:?} {npm:?}");
        }
    }
}
