//! Which value of a setting counts, how mistakes are told, and that what is printed says what is so.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::cli::{Arguments, Command};

/// How `thalweg serve` is configured with a file, variables and options.
fn serve(file: &str, variables: &[(&str, &str)], options: &str) -> Result<Configuration, String> {
    let mut line = "thalweg serve".to_owned();
    if !file.is_empty() {
        line += " --config t.toml";
    }
    if !options.is_empty() {
        line = format!("{line} {options}");
    }
    let arguments =
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
    let Command::Serve(arguments) = arguments.command else {
        panic!("{line}");
    };
    let read_file = |path: &Path| match path.to_str() {
        Some("t.toml" | "named.toml") => Ok(file.to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let surroundings = Surroundings {
        variables: variables.collect(),
        read_file: &read_file,
    };
    Configuration::of_serve(&arguments, &surroundings).map_err(|error| error.to_string())
}

#[track_caller]
fn problems(file: &str, variables: &[(&str, &str)], options: &str) -> Vec<String> {
    let error = serve(file, variables, options).expect_err("should be refused");
    error.lines().map(str::to_owned).collect()
}

#[test]
fn the_command_line_goes_before_the_environment_before_the_file_before_the_default() {
    let file = "listen = '127.0.0.1:1'\n[limits]\nrows_max = 1\ntime_max = '3s'\n[http]\nrequest_bytes_max = 2048\n";
    let rows = |file: &str, variables: &[(&str, &str)], options: &str| {
        let found = serve(file, variables, options).expect("a configuration");
        found.settings.limits.rows_max
    };
    let variable = [("THALWEG_LIMITS_ROWS_MAX", "2")];
    assert_eq!(rows("", &[], ""), 1_000_000);
    assert_eq!(rows(file, &[], ""), 1);
    assert_eq!(rows(file, &variable, ""), 2);
    assert_eq!(rows(file, &variable, "--limit rows_max=3"), 3);
    assert_eq!(
        rows(file, &variable, "--limit limits.rows_max=1_000"),
        1_000
    );

    let found = serve(
        file,
        &[("THALWEG_LISTEN", "127.0.0.1:2")],
        "--limit http.request_bytes_max=1MiB",
    );
    let settings = found.expect("a configuration").settings;
    assert_eq!(settings.listen.port(), 2);
    for (file, variables) in [
        ("ids = 'relay'", &[][..]),
        ("", &[("THALWEG_IDS", "relay")]),
    ] {
        let found = serve(file, variables, "").expect("a configuration");
        assert_eq!(found.settings.ids, IdNames::Relay);
        assert!(toml(&found).contains("ids = \"relay\" # from "));
    }
    assert_eq!(settings.time_max, Duration::from_secs(3));
    assert_eq!(settings.gateway.request_bytes_max, 1 << 20);
    let named = [("THALWEG_CONFIG", "named.toml")];
    let arguments = serve("", &named, "");
    assert_eq!(
        arguments.expect("an empty file").settings.limits.rows_max,
        1_000_000
    );
    assert!(
        problems("", &[("THALWEG_CONFIG", "none.toml")], "")[0]
            .contains("none.toml cannot be read")
    );
    // Whoever runs several things of that name in one place has such variables.
    assert!(
        serve(
            "",
            &[
                ("THALWEG_PORT_4000_TCP", "tcp://10.0.0.1"),
                ("THALWEG_BIN", "x")
            ],
            ""
        )
        .is_ok()
    );
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once_and_where_they_are() {
    let file = "\
listen = 4000
auto_creat = true
store = 'memory:'
data = './d'
[limits]
rows_max = '5'
depht_max = 3
time_max = 30
page_max = 0
operations_max = 7
response_bytes_max = '64 megs'
listen = '127.0.0.1:1'
[limit]
x = 1
[http]
batch_max = -1
keep_alive = 1979-05-27
";
    let found = problems(file, &[], "");
    let expected = [
        "t.toml:1:1: listen is 4000; it must be an address such as \"127.0.0.1:4000\"",
        "t.toml:2:1: there is no setting auto_creat; did you mean auto_create?",
        "give one of them",
        "t.toml:6:1: limits.rows_max is \"5\"; it must be a whole number, 1 or more",
        "t.toml:7:1: there is no setting depht_max in [limits]; did you mean depth_max?",
        "t.toml:8:1: limits.time_max is 30; it must be a time such as \"30s\"",
        "t.toml:9:1: limits.page_max is 0; it must be a whole number, 1 or more",
        "t.toml:10:1: there is no setting operations_max in [limits]; it stands in [http]",
        "t.toml:11:1: limits.response_bytes_max is \"64 megs\"; it must be a size such as \"64MiB\"",
        "t.toml:12:1: there is no setting listen in [limits]; it stands above all sections",
        "t.toml:13:2: there is no section [limit]; did you mean limits?",
        "t.toml:16:1: http.batch_max is -1; it must be a whole number, 0 or more",
        "t.toml:17:1: http.keep_alive is a date",
    ];
    for expected in expected {
        assert!(
            found.iter().any(|line| line.contains(expected)),
            "{expected}\n{found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    for (file, place) in [
        ("listen = ", "t.toml:1:"),
        ("[limits]\nrows_max = 1\nrows_max = 2\n", "t.toml:3:1"),
        ("# \u{e4}\n\u{e4} = 1", "t.toml:2:1"),
        ("[limits\n", "t.toml:1:"),
    ] {
        let found = problems(file, &[], "");
        assert!(found[0].starts_with(place), "{file}: {found:#?}");
    }
}

#[test]
fn variables_and_options_are_told_by_name() {
    for (variables, options, expected) in [
        (
            &[("THALWEG_LIMITS_ROW_MAX", "5")][..],
            "",
            "did you mean THALWEG_LIMITS_ROWS_MAX?",
        ),
        (
            &[("THALWEG_LIMITS_ROWS_MAX", "many")],
            "",
            "THALWEG_LIMITS_ROWS_MAX is \"many\"",
        ),
        (
            &[("THALWEG_STORE", "memory:"), ("THALWEG_DATA", "d")],
            "",
            "give one of them",
        ),
        (&[], "--limit rows_max", "has no value"),
        (&[], "--limit rowsmax=1", "did you mean limits.rows_max?"),
        (&[], "--limit batchmax=1", "did you mean http.batch_max?"),
        (
            &[],
            "--limit reader_lifetime_max=1h",
            "reader_lifetime_max; did you mean",
        ),
        (
            &[],
            "--limit depth_max=0",
            "--limit limits.depth_max is \"0\"",
        ),
        (
            &[],
            "--limit page_max=5",
            "page_default is 100, which is above limits.page_max, 5",
        ),
        (
            &[],
            "--limit time_max=1h",
            "raise embedded.reader_lifetime_max",
        ),
        (&[("THALWEG_LISTEN", "0.0.0.0:1")], "", "--allow-anonymous"),
        (
            &[("THALWEG_IDS", "global")],
            "",
            "THALWEG_IDS is \"global\"; it must be local or relay",
        ),
    ] {
        let found = problems("", variables, options);
        assert_eq!(found.len(), 1, "{options}: {found:#?}");
        assert!(found[0].contains(expected), "{expected}\n{}", found[0]);
    }
    let long = "--limit time_max=1h --limit embedded.reader_lifetime_max=2h";
    assert!(serve("", &[], long).is_ok());
    let bare = serve("", &[], "--limit batch_max=3 --limit errors_max=4").expect("both are known");
    assert_eq!(bare.settings.gateway.batch_max, 3);
    assert_eq!(bare.settings.limits.errors_max, 4);
}

/// The file that is printed is the configuration that it was printed of.
#[test]
fn what_is_printed_can_be_read_again() {
    let file = "allow_hosts = ['a\"\\\\b', 'c']\n[limits]\ntime_max = '1500ms'\nrows_max = 7\n[engine]\nrecovery_window = '1d'\n";
    for (file, options) in [("", ""), (file, "--limit http.batch_max=0 --data ./x")] {
        let first = serve(file, &[], options).expect("a configuration");
        let printed = toml(&first);
        let second = serve(&printed, &[], "").unwrap_or_else(|error| panic!("{error}\n{printed}"));
        for knob in KNOBS {
            let name = knob.name();
            assert_eq!(
                knob.toml(&first.settings),
                knob.toml(&second.settings),
                "{name}"
            );
        }
        if !file.is_empty() {
            assert!(
                printed.contains("rows_max = 7 # from t.toml:4:1"),
                "{printed}"
            );
            assert!(
                printed.contains("batch_max = 0 # from the command line"),
                "{printed}"
            );
        }
    }
    let secret = serve("store = 'postgres://u:hush@h/d'", &[], "").expect("a configuration");
    assert!(!toml(&secret).contains("hush"));
}

#[test]
fn every_setting_has_a_name_of_its_own_and_takes_its_own_default() {
    let mut names = HashSet::new();
    for knob in KNOBS {
        assert!(names.insert(knob.name()), "{}", knob.name());
        assert!(names.insert(knob.variable()), "{}", knob.variable());
        assert!(knob.section.is_empty() || table::sections().any(|known| known == knob.section));
        assert!(knob.meaning.ends_with('.'), "{}", knob.name());
        let mut settings = Settings::serve();
        let value = knob.toml(&settings).expect("the default is no secret");
        let word = value.trim_matches(['"', '[', ']']);
        knob.set(&mut settings, &Given::Word(word))
            .unwrap_or_else(|wrong| panic!("{} {wrong}", knob.name()));
        assert_eq!(knob.toml(&settings), Some(value), "{}", knob.name());
    }
}

/// `docs/configuration.md` has the tables that the settings make; `INSTA_UPDATE=always` writes them anew.
#[test]
fn the_documentation_lists_the_settings() {
    const BEGIN: &str = "<!-- settings: made by the program -->\n";
    const END: &str = "<!-- end of settings -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let text = std::fs::read_to_string(&path).expect("the documentation");
    let begin = text.find(BEGIN).expect("where the tables begin") + BEGIN.len();
    let end = text.find(END).expect("where the tables end");
    let tables = format!("\n{}\n", print::tables());
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        let text = format!("{}{tables}{}", &text[..begin], &text[end..]);
        std::fs::write(&path, text).expect("the documentation is written");
        return;
    }
    assert!(
        text[begin..end] == *tables,
        "docs/configuration.md is not what the settings are; `cargo xtask bless -p thalweg` makes it so"
    );
}

#[test]
fn the_long_help_lists_the_settings() {
    for command in ["serve", "dev", "config"] {
        let help = Arguments::try_parse_from(["thalweg", command, "--help"]).expect_err("help");
        let help = help.to_string();
        for knob in KNOBS.iter().filter(|knob| !knob.section.is_empty()) {
            assert!(
                help.contains(&format!("  {} = ", knob.key)),
                "{command}: {}",
                knob.key
            );
        }
        let short = Arguments::try_parse_from(["thalweg", command, "-h"]).expect_err("help");
        assert!(!short.to_string().contains("[limits]"));
    }
}
