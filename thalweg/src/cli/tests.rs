//! What the command line accepts, and how it refuses the rest.

use super::*;
use crate::config::{Configuration, Surroundings};

fn parse(line: &str) -> Result<Command, String> {
    Arguments::try_parse_from(line.split(' '))
        .and_then(Arguments::checked)
        .map(|arguments| arguments.command)
        .map_err(|error| error.to_string())
}

#[track_caller]
fn refused(line: &str, because: &str) {
    let message = parse(line).expect_err("should be wrong usage");
    assert!(message.contains(because), "{line}: {message}");
}

#[test]
fn definitions_are_consistent() {
    Arguments::command().debug_assert();
}

/// How a server would be configured by the command line alone.
fn settings(line: &str) -> Result<Settings, String> {
    let surroundings = Surroundings {
        variables: Vec::new(),
        read_file: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    let configuration = match parse(line)? {
        Command::Dev(arguments) => Configuration::of_dev(&arguments, &surroundings),
        Command::Serve(arguments) => Configuration::of_serve(&arguments, &surroundings),
        other => panic!("{other:?}"),
    };
    configuration
        .map(|configuration| configuration.settings)
        .map_err(|error| error.to_string())
}

#[track_caller]
fn not_started(line: &str, because: &str) {
    let message = settings(line).expect_err("should be refused");
    assert!(message.contains(because), "{line}: {message}");
}

#[test]
fn dev_listens_on_loopback_only() {
    for (text, expected) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.8.9.1:80", "127.8.9.1:80"),
        ("[::1]:4000", "[::1]:4000"),
        ("localhost:4001", "127.0.0.1:4001"),
    ] {
        let found = settings(&format!("thalweg dev --listen {text}")).expect("good usage");
        assert_eq!(found.listen.to_string(), expected);
    }
    not_started("thalweg dev --listen 0.0.0.0:4000", "loopback only");
    not_started("thalweg dev --listen [::]:4000", "loopback only");
    refused("thalweg dev --listen example.org:80", "expected IP:PORT");
    refused("thalweg dev --listen localhost:x", "`x` is not a port");
    not_started("thalweg serve --listen 0.0.0.0:4000", "--allow-anonymous");
    let open = "thalweg serve --listen 0.0.0.0:4000 --allow-anonymous";
    assert!(settings(open).is_ok());
    not_started(&format!("{open}=false"), "--allow-anonymous");
    assert!(settings("thalweg dev").expect("fine").limits.auto_create);
    assert!(!settings("thalweg serve").expect("fine").limits.auto_create);
    assert!(
        settings("thalweg serve --auto-create")
            .expect("fine")
            .limits
            .auto_create
    );
}

#[test]
fn an_unknown_example_lists_those_that_exist() {
    let message = parse("thalweg dev --example moves").expect_err("no such example");
    for example in thalweg_examples::all() {
        assert!(message.contains(example.name), "{message}");
    }
    match parse("thalweg dev --example airports") {
        Ok(Command::Dev(dev)) => assert_eq!(dev.example.map(|it| it.name), Some("airports")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_is_named_by_url_or_directory() {
    for (options, expected) in [
        ("", StoreUrl::File("./thalweg-data".into())),
        (" --data d", StoreUrl::File("d".into())),
        (" --store file:a:b", StoreUrl::File("a:b".into())),
        (" --store memory:", StoreUrl::Memory),
    ] {
        let found = settings(&format!("thalweg serve{options}")).expect("good usage");
        assert_eq!(found.store, expected, "{options}");
    }
    for scheme in ["postgres", "postgresql"] {
        match parse(&format!("thalweg serve --store {scheme}://db/x?schema=s")) {
            Ok(Command::Serve(serve)) => match serve.store() {
                Some(StoreUrl::Postgres(url)) => assert_eq!(url.schema(), "s"),
                other => panic!("{scheme}: {other:?}"),
            },
            other => panic!("{scheme}: {other:?}"),
        }
    }
    refused(
        "thalweg serve --store postgres://db/x?sslmode=require",
        "no TLS",
    );
    refused("thalweg serve --store postgres:db", "expected postgres://");
    refused(
        "thalweg serve --store tikv://pd:2379",
        "tikv store is not in this build",
    );
    refused("thalweg serve --store data", "unknown kind of store");
    refused("thalweg serve --store file:", "needs a path");
    refused("thalweg serve --store memory:x", "nothing after the colon");
    refused(
        "thalweg serve --data d --store memory:",
        "cannot be used with",
    );
}

#[test]
fn import_needs_files_and_a_collection() {
    refused("thalweg import", "<FILE>");
    refused("thalweg import a.json", "--collection");
    refused("thalweg import a.json --collection ", "must not be empty");
    refused("thalweg import - - --collection a", "only once");
    refused("thalweg import a.json --collection a --format xml", "text");
    refused(
        "thalweg import a.json --collection a --server https://db",
        "https",
    );
}

#[test]
fn export_to_standard_output_takes_one_collection() {
    refused("thalweg export", "--out DIR");
    refused("thalweg export --collection a --collection b", "--out DIR");
    assert!(parse("thalweg export --collection a").is_ok());
    assert!(parse("thalweg export --collection a --collection b --out dump").is_ok());
    assert!(parse("thalweg export --out dump").is_ok());
}

#[test]
fn codegen_writes_for_relay_and_names_the_generators_of_others() {
    for (documents, expected) in [
        ("", "src"),
        (" --documents src/**/*.tsx", "src"),
        (" --documents ./app/*/{a,b}/*.{ts,tsx}", "app"),
        (" --documents **/*.js", "."),
        (" --documents /app/code", "/app/code"),
    ] {
        match parse(&format!("thalweg codegen --lang relay --out o{documents}")) {
            Ok(Command::Codegen(codegen)) => {
                assert_eq!(codegen.documents.0, Path::new(expected), "{documents}");
                assert_eq!(codegen.lang, CodegenLanguage::Relay);
            }
            other => panic!("{documents}: {other:?}"),
        }
    }
    for lang in ["typescript", "python", "rust", ""] {
        let line = format!("thalweg codegen --out o --lang {lang}");
        refused(&line, "there is relay");
        refused(&line, "ariadne-codegen (Python)");
        refused(&line, "docs/clients.md");
    }
    refused("thalweg codegen --lang relay", "--out");
    refused("thalweg codegen --out o", "--lang");
    refused(
        "thalweg codegen --lang relay --out o --documents src/**/*.graphql",
        "none of .graphql",
    );
    refused(
        "thalweg codegen --lang relay --out o --schema s --server http://h:1",
        "cannot be used with",
    );
}

#[test]
fn ids_have_the_names_that_are_asked_for() {
    for (line, expected) in [
        ("thalweg serve", IdNames::Local),
        ("thalweg serve --ids relay", IdNames::Relay),
        ("thalweg dev --ids relay", IdNames::Relay),
        ("thalweg dev --ids local", IdNames::Local),
        ("thalweg serve --limit ids=relay", IdNames::Relay),
    ] {
        assert_eq!(settings(line).expect("good usage").ids, expected, "{line}");
    }
    refused(
        "thalweg serve --ids global",
        "[possible values: local, relay]",
    );
    not_started("thalweg serve --limit ids=rely", "must be local or relay");
}
