//! The binary as a shell sees it: help texts, exit codes, and which stream says what.

mod exact_values;
mod lost_answer;
mod operations;

use std::process::{Command, Output};

fn thalweg(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thalweg"))
        .args(arguments)
        .output()
        .expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn help_is_an_answer() {
    for arguments in [
        &["--help"][..],
        &["dev", "--help"],
        &["serve", "--help"],
        &["import", "--help"],
        &["export", "--help"],
        &["backup", "--help"],
        &["restore", "--help"],
        &["verify", "--help"],
        &["schema", "--help"],
        &["schema", "print", "--help"],
        &["schema", "apply", "--help"],
        &["--version"],
    ] {
        let output = thalweg(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            text(&output.stdout).to_lowercase().contains("thalweg"),
            "{arguments:?}"
        );
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_is_two() {
    for arguments in [
        &[][..],
        &["fly"],
        &["dev", "--listen", "0.0.0.0:4000"],
        &["dev", "--example", "none"],
        &["serve", "--store", "tikv://localhost:2379"],
        &["import", "a.json"],
        &["export"],
        &["backup"],
        &["backup", "--out", "x", "--store", "memory:"],
        &["restore"],
        &["verify", "--data", "a", "--store", "file:b"],
        &["schema"],
        &["schema", "print", "--server", "https://localhost"],
    ] {
        let output = thalweg(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            text(&output.stderr)
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_postgres_server_that_is_not_there_is_named() {
    let output = thalweg(&[
        "serve",
        "--store",
        "postgres://river:secret@127.0.0.1:9/water",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(
        message.contains("cannot open the store in PostgreSQL"),
        "{message}"
    );
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn failure_is_one_and_says_why() {
    // Port 9 (discard) is not served on loopback where tests run.
    let server = "http://127.0.0.1:9";
    for arguments in [
        &["schema", "print", "--server", server][..],
        &["export", "--collection", "a", "--server", server],
        &[
            "import",
            env!("CARGO_MANIFEST_PATH"),
            "--collection",
            "a",
            "--server",
            server,
        ],
    ] {
        let output = thalweg(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            text(&output.stderr).contains("no server answers at"),
            "{arguments:?}"
        );
    }
}
