//! What is written for which schema, and what is left alone.

use std::path::Path;

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::cli::{Arguments, Command};
use crate::test_server::{TestServer, answer};

const LOCAL: &str = r#"
interface Node { nodeId: ID! }
scalar BigInt
scalar JSON
scalar Colour
type Movie implements Node { nodeId: ID! id: ID! cast: [MovieCast] n: BigInt colour: Colour _json: JSON }
type Actor implements Node { nodeId: ID! id: ID! }
type MovieCast { id: Int nodeId: String }
type Query { node(nodeId: ID!): Node movie(id: ID!): Movie actor(id: ID!): Actor }
"#;

fn for_relay() -> String {
    LOCAL
        .replace("id: ID!", "rowId: ID!")
        .replace("nodeId: ID!", "id: ID!")
}

/// An application's directory with a schema in it.
struct Application(tempfile::TempDir);

impl Application {
    fn new(sdl: &str) -> Application {
        let application = Application(tempfile::tempdir().expect("a directory"));
        application.write("api.graphql", sdl);
        application
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect(name)
    }

    fn run(&self, options: &[&str]) -> anyhow::Result<Outcome> {
        let schema = self.path("api.graphql");
        let (out, documents) = (self.path("relay"), self.path("src/**/*.tsx"));
        let text = |path: &Path| path.display().to_string();
        let mut line = vec![
            "thalweg".to_owned(),
            "codegen".to_owned(),
            "--lang=relay".to_owned(),
            format!("--schema={}", text(&schema)),
            format!("--out={}", text(&out)),
            format!("--documents={}", text(&documents)),
        ];
        line.extend(options.iter().map(|option| (*option).to_owned()));
        match Arguments::try_parse_from(line).expect("good usage").command {
            Command::Codegen(arguments) => run(&arguments),
            other => panic!("{other:?}"),
        }
    }

    fn configuration(&self) -> Value {
        serde_json::from_str(&self.read("relay/relay.config.json")).expect("JSON")
    }
}

#[test]
fn the_schema_says_what_ids_are_called() {
    let application = Application::new(LOCAL);
    assert_eq!(application.run(&[]).expect("written"), Outcome::Done);
    assert_eq!(application.read("relay/schema.graphql"), LOCAL);
    assert!(application.path("relay/__generated__").is_dir());
    assert_eq!(
        application.configuration(),
        json!({
            "src": "../src",
            "schema": "schema.graphql",
            "language": "typescript",
            "artifactDirectory": "__generated__",
            "eagerEsModules": true,
            "useImportTypeSyntax": true,
            "customScalarTypes": { "BigInt": "number | string", "Colour": "unknown", "JSON": "unknown" },
            "requireCustomScalarTypes": true,
            "schemaConfig": { "nodeInterfaceIdField": "nodeId", "nodeInterfaceIdVariableName": "nodeId" },
        })
    );
    let module = application.read("relay/getDataID.ts");
    assert!(
        module.contains("new Set([\n  \"Actor\",\n  \"Movie\",\n])"),
        "{module}"
    );
    assert!(module.contains("object[\"nodeId\"]"), "{module}");

    let relay = Application::new(&for_relay());
    relay.run(&[]).expect("written");
    assert_eq!(relay.configuration()["schemaConfig"], Value::Null);
    assert_eq!(
        relay.read("relay/getDataID.ts"),
        module.replace("object[\"nodeId\"]", "object[\"id\"]")
    );
}

#[test]
fn what_users_have_changed_is_kept() {
    let application = Application::new(LOCAL);
    application.run(&[]).expect("written");
    let first = application.read("relay/relay.config.json");
    let changed = first.replace("\"../src\"", "\"../app\"");
    application.write("relay/relay.config.json", &changed);
    application.write("relay/schema.graphql", "type Old");
    let module = application.read("relay/getDataID.ts");
    application.write("relay/getDataID.ts", &module.replace("\"Actor\",", ""));
    assert_eq!(application.run(&[]).expect("written"), Outcome::Done);
    assert_eq!(application.read("relay/relay.config.json"), changed);
    assert_eq!(application.read("relay/schema.graphql"), LOCAL);
    assert_eq!(application.read("relay/getDataID.ts"), module);

    // It is told where it is no longer right.
    application.write("api.graphql", &for_relay());
    assert_eq!(application.run(&[]).expect("written"), Outcome::Failed);
    assert_eq!(application.read("relay/relay.config.json"), changed);
    assert_eq!(
        application.run(&["--force"]).expect("written"),
        Outcome::Done
    );
    assert_eq!(application.configuration()["src"], "../src");

    application.write("relay/getDataID.ts", "export const mine = 1;\n");
    let error = application.run(&[]).expect_err("somebody else's");
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(
        application.read("relay/getDataID.ts"),
        "export const mine = 1;\n"
    );
    application.run(&["--force"]).expect("written");
}

#[test]
fn a_schema_without_global_ids_is_refused() {
    for (sdl, words) in [
        ("type Query { a: Int }", "no interface Node"),
        (
            "interface Node { key: ID! } type Query { a: Node }",
            "neither the field nodeId nor id",
        ),
        ("type Query { a: Missing }", "1:17: "),
    ] {
        let application = Application::new(sdl);
        let error = application.run(&[]).expect_err("refused");
        let text = format!("{error:#}");
        assert!(
            text.contains(words) && text.contains("api.graphql"),
            "{text}"
        );
        assert!(!application.path("relay").exists());
    }
}

#[test]
fn a_server_tells_its_schema() {
    let application = Application::new("");
    let server = TestServer::start(vec![answer("200 OK", LOCAL)]);
    let line = [
        "thalweg",
        "codegen",
        "--lang=relay",
        &format!("--server={}", server.url),
        &format!("--out={}", application.path("relay").display()),
    ];
    let Command::Codegen(arguments) = Arguments::try_parse_from(line).expect("good usage").command
    else {
        panic!("another command");
    };
    assert_eq!(run(&arguments).expect("written"), Outcome::Done);
    assert_eq!(server.received()[0].line, "GET /schema.graphql");
    assert_eq!(application.read("relay/schema.graphql"), LOCAL);
}

#[test]
fn paths_lead_from_the_files_to_the_documents() {
    for (from, to, expected) in [
        ("/a/b", "/a/b", "."),
        ("/a/b", "/a/b/src", "src"),
        ("/a/b", "/a/src/x", "../src/x"),
        ("/a/b", "/", "../.."),
    ] {
        assert_eq!(relative(Path::new(from), Path::new(to)), expected);
    }
    let path = absolute(Path::new("/a/./b/../c")).expect("absolute");
    assert_eq!(path, Path::new("/a/c"));
}
