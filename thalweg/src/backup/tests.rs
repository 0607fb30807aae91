//! Backups of stores that are open and of stores that are not, into files.

use std::path::Path;

use clap::Parser;
use thalweg_engine::{CollectionRef, Engine, ExpiryChange, Intent, verify};
use thalweg_model::Document;

use super::*;
use crate::cli::{Arguments, Command};
use crate::config::Settings;
use crate::control::ControlSocket;

fn run(line: &[&str]) -> anyhow::Result<()> {
    let arguments = Arguments::try_parse_from([&["thalweg"], line].concat()).expect("good usage");
    match arguments.command {
        Command::Backup(arguments) => backup(&arguments),
        Command::Restore(arguments) => restore(&arguments),
        other => panic!("{other:?}"),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn engine_with_documents(data: &Path, count: u32) -> Engine {
    let settings = Settings {
        store: StoreUrl::File(data.to_owned()),
        ..Settings::serve()
    };
    let engine = store::open(&settings).expect("it opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for number in 0..count {
        let put = Intent::Put {
            collection: CollectionRef::Name {
                name: "rivers".into(),
                create: true,
            },
            id: None,
            document: Document::parse(format!("{{\"id\":{number}}}").as_bytes()).expect("JSON"),
            expiry: ExpiryChange::KEEP,
        };
        runtime
            .block_on(engine.transact(move |transaction| {
                transaction.write(put.clone())?;
                Ok(())
            }))
            .expect("committed");
    }
    engine
}

fn documents(data: &Path) -> u64 {
    let backend = store::open_existing(&StoreUrl::File(data.to_owned())).expect("a store");
    let verification = verify(&*backend).expect("checked");
    assert_eq!(verification.findings, []);
    verification.documents
}

#[test]
fn with_and_without_a_server_it_is_the_same_file() {
    let scratch = tempfile::tempdir().expect("a directory");
    let [data, online, offline, restored] =
        ["data", "online", "offline", "restored"].map(|name| scratch.path().join(name));
    let engine = engine_with_documents(&data, 3);
    let out = |file| ["backup", "--out", file, "--data", text(&data)];
    let refused = run(&out(text(&online))).expect_err("nobody listens");
    assert!(format!("{refused:#}").contains("in use"), "{refused:#}");
    assert!(!online.exists());
    let socket = ControlSocket::listen(&data, engine.clone()).expect("a socket");
    run(&out(text(&online))).expect("the server makes it");
    run(&out(text(&online))).expect("it may be replaced");
    drop(socket);
    engine.close();
    drop(engine);
    // The thread that answered has the engine, and with it the store, until the process ends.
    let copied = scratch.path().join("copy");
    run(&["restore", text(&online), "--data", text(&copied)]).expect("restored");
    run(&["backup", "--out", text(&offline), "--data", text(&copied)]).expect("read here");
    assert_eq!(
        fs::read(&online).expect("a file"),
        fs::read(&offline).expect("a file")
    );
    run(&["restore", text(&offline), "--data", text(&restored)]).expect("restored");
    assert_eq!(documents(&restored), 3);
    assert!(!scratch.path().join("online.partial").exists());
}

#[test]
fn what_cannot_be_restored_leaves_no_store() {
    let scratch = tempfile::tempdir().expect("a directory");
    let [data, file, target] = ["data", "file", "target"].map(|name| scratch.path().join(name));
    fs::write(&file, "no backup").expect("written");
    let restoring = ["restore", text(&file), "--data", text(&target)];
    let refused = run(&restoring).expect_err("it is none");
    assert!(
        format!("{refused:#}").contains("not a backup"),
        "{refused:#}"
    );
    assert!(!target.exists());
    let engine = engine_with_documents(&data, 1);
    engine.close();
    drop(engine);
    run(&["backup", "--out", text(&file), "--data", text(&data)]).expect("backed up");
    let whole = fs::read(&file).expect("a file");
    fs::write(&file, &whole[..whole.len() - 1]).expect("written");
    let refused = run(&restoring).expect_err("it is cut off");
    assert!(format!("{refused:#}").contains("cut off"), "{refused:#}");
    assert!(!target.exists());
    fs::write(&file, &whole).expect("written");
    run(&restoring).expect("it is whole");
    let refused = run(&restoring).expect_err("there is a store now");
    assert!(format!("{refused:#}").contains("not empty"), "{refused:#}");
}

#[test]
fn a_store_that_is_not_there_is_not_created() {
    let scratch = tempfile::tempdir().expect("a directory");
    let [data, file] = ["data", "file"].map(|name| scratch.path().join(name));
    let refused = run(&["backup", "--out", text(&file), "--data", text(&data)])
        .expect_err("there is nothing");
    assert!(refused.to_string().contains("no store"), "{refused:#}");
    assert!(!data.exists() && !file.exists());
}
