//! The settings for people: as TOML, in `--help`, and as the tables of `docs/configuration.md`.

use super::table::{KNOBS, Knob, section_meaning, sections};
use super::{Configuration, Origin, Settings};

/// How wide a comment may be.
const WIDTH: usize = 100;

/// The configuration that is in force as a file that can be given with `--config`.
pub(crate) fn toml(configuration: &Configuration) -> String {
    let mut out = String::from(
        "# What is in force. A value comes from the command line, else from the environment, else from the file\n\
         # that --config names, else it is the default.\n",
    );
    let mut section = "";
    for (knob, origin) in KNOBS.iter().zip(&configuration.origins) {
        if knob.section != section {
            section = knob.section;
            out.push('\n');
            comment(section_meaning(section), &mut out);
            out.push_str(&format!("[{section}]\n"));
        }
        out.push('\n');
        comment(knob.meaning, &mut out);
        let value = knob.toml(&configuration.settings);
        let from = match origin {
            Origin::Default => "",
            Origin::File(place) => place,
            Origin::Variable(name) => name,
            Origin::CommandLine => "the command line",
        };
        let Some(value) = value else {
            out.push_str(&format!(
                "# {} is not shown, since it may hold a password\n",
                knob.key
            ));
            continue;
        };
        let from = match from {
            "" => String::new(),
            from => format!(" # from {from}"),
        };
        // What only repeats another setting is shown, but not set.
        let off = if knob.is_alias { "# " } else { "" };
        out.push_str(&format!("{off}{} = {value}{from}\n", knob.key));
    }
    out
}

fn comment(text: &str, out: &mut String) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

/// What the long help of a server's command ends with.
pub(crate) fn help(examples: &str, settings: &Settings) -> String {
    let mut out = format!(
        "{examples}\n\n\
         Settings, with their defaults. Each can be given as --limit NAME=VALUE (with the section, http.batch_max, where need be), as\n\
         a variable of the environment (THALWEG_LIMITS_ROWS_MAX=…), or in the file that --config names, as TOML; the first of\n\
         these that is there counts. `thalweg config` prints them all as they are in force, as such a file.\n"
    );
    for section in sections() {
        out.push_str(&format!("\n[{section}] {}\n", section_meaning(section)));
        for knob in of_section(section) {
            let value = knob.toml(settings).unwrap_or_default();
            out.push_str(&format!(
                "  {} = {value}\n      {}\n",
                knob.key, knob.meaning
            ));
        }
    }
    out
}

fn of_section(section: &str) -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(move |knob| knob.section == section)
}

/// The tables of `docs/configuration.md`.
#[cfg(test)]
pub(super) fn tables() -> String {
    let settings = Settings::serve();
    let mut out = String::new();
    for section in std::iter::once("").chain(sections()) {
        if !section.is_empty() {
            let meaning = section_meaning(section);
            out.push_str(&format!("\n### `[{section}]`\n\n{meaning}\n\n"));
        }
        out.push_str("| setting | default | what it is |\n|---|---|---|\n");
        for knob in of_section(section) {
            let value = knob.toml(&settings).unwrap_or_default();
            out.push_str(&format!(
                "| `{}` | `{value}` | {} |\n",
                knob.key, knob.meaning
            ));
        }
    }
    out
}
