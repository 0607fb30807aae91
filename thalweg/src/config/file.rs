//! A configuration file: TOML, each of whose keys is a setting.

use toml::de::{DeTable, DeValue};

use super::table::{self, KNOBS};
use super::value::Given;
use super::{Layers, Origin, nearest};

impl Layers {
    /// Takes a file's settings. `path` is for messages.
    pub(super) fn file(&mut self, path: &str, text: &str) {
        let place = |at: usize| {
            let (line, column) = line_and_column(text, at);
            format!("{path}:{line}:{column}")
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.problems
                .push(format!("{}: {}", place(at), error.message()));
        }
        let mut is_data_given = false;
        for (key, value) in table.get_ref().iter() {
            let name: &str = key.get_ref();
            if let DeValue::Table(section) = value.get_ref() {
                if !table::sections().any(|known| known == name) {
                    let nearest = nearest(name, table::sections().map(str::to_owned));
                    self.problems.push(format!(
                        "{}: there is no section [{name}]{nearest}",
                        place(key.span().start)
                    ));
                    continue;
                }
                for (key, value) in section.iter() {
                    let place = place(key.span().start);
                    self.member(name, key.get_ref(), &given(value.get_ref()), place);
                }
                continue;
            }
            let is_store = matches!(name, "data" | "store");
            if is_store && std::mem::replace(&mut is_data_given, true) {
                let place = place(key.span().start);
                self.problems
                    .push(format!("{place}: {}", table::DATA_AND_STORE));
            }
            let place = place(key.span().start);
            self.member("", name, &given(value.get_ref()), place);
        }
    }

    fn member(&mut self, section: &str, key: &str, given: &Given<'_>, place: String) {
        let found = KNOBS
            .iter()
            .position(|knob| knob.section == section && knob.key == key);
        if let Some(knob) = found {
            return self.set(knob, given, Origin::File(place));
        }
        let elsewhere = KNOBS.iter().find(|knob| knob.key == key);
        let advice = match elsewhere {
            Some(knob) if knob.section.is_empty() => "; it stands above all sections".to_owned(),
            Some(knob) => format!("; it stands in [{}]", knob.section),
            None => {
                let here = KNOBS.iter().filter(|knob| knob.section == section);
                nearest(key, here.map(|knob| knob.key.to_owned()))
            }
        };
        let whereabouts = match section {
            "" => String::new(),
            section => format!(" in [{section}]"),
        };
        self.problems.push(format!(
            "{place}: there is no setting {key}{whereabouts}{advice}"
        ));
    }
}

fn given<'v>(value: &'v DeValue<'_>) -> Given<'v> {
    match value {
        DeValue::String(text) => Given::Text(text),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Given::Integer(number),
            Err(_) => Given::Other("a number that is too long"),
        },
        DeValue::Boolean(flag) => Given::Boolean(*flag),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect();
            texts.map_or(
                Given::Other("a list of other things than texts"),
                Given::List,
            )
        }
        DeValue::Float(_) => Given::Other("a fraction"),
        DeValue::Datetime(_) => Given::Other("a date"),
        DeValue::Table(_) => Given::Other("a table"),
    }
}

/// Both from 1; the column in characters.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
