//! Random JSON for the property tests: trees that are written both as canonical text and as the
//! messiest text with the same meaning.

use proptest::prelude::*;

use crate::value::Value;

/// A JSON value as a plain tree; objects may have duplicate names.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    Literal(&'static str),
    Number(String),
    Text(String),
    List(Vec<Sample>),
    Object(Vec<(String, Sample)>),
}

impl Sample {
    /// The members that count: of equal names the last.
    pub(crate) fn members(&self) -> Vec<(&str, &Sample)> {
        let Sample::Object(members) = self else {
            return Vec::new();
        };
        let is_last = |position: usize, name: &str| {
            members[position + 1..]
                .iter()
                .all(|(later, _)| later != name)
        };
        members
            .iter()
            .enumerate()
            .filter(|(position, (name, _))| is_last(*position, name))
            .map(|(_, (name, member))| (name.as_str(), member))
            .collect()
    }

    pub(crate) fn canonical(&self) -> String {
        match self {
            Sample::Literal(text) => (*text).to_owned(),
            Sample::Number(text) => text.clone(),
            Sample::Text(text) => serde_json::to_string(text).unwrap(),
            Sample::List(items) => {
                let items: Vec<_> = items.iter().map(Sample::canonical).collect();
                format!("[{}]", items.join(","))
            }
            Sample::Object(_) => {
                let members = self.members().into_iter().map(|(name, member)| {
                    format!(
                        "{}:{}",
                        serde_json::to_string(name).unwrap(),
                        member.canonical()
                    )
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
        }
    }

    pub(crate) fn value(&self) -> Value {
        Value::parse(self.canonical().as_bytes()).unwrap()
    }

    /// Puts another value where the scalar of that number stands, counted in the order of the text.
    fn replace_scalar(&mut self, number: &mut usize, by: &Sample) {
        match self {
            Sample::List(items) => {
                items
                    .iter_mut()
                    .for_each(|item| item.replace_scalar(number, by));
            }
            Sample::Object(members) => {
                members
                    .iter_mut()
                    .for_each(|(_, member)| member.replace_scalar(number, by));
            }
            scalar => {
                if *number == 0 {
                    *scalar = by.clone();
                }
                *number = number.wrapping_sub(1);
            }
        }
    }

    /// Text of the same meaning, with white space and escapes as the style bytes say.
    pub(crate) fn messy(&self, style: &[u8]) -> String {
        let mut writer = MessyWriter {
            style: style.iter().copied().cycle(),
            text: String::new(),
        };
        writer.write(self);
        writer.text
    }
}

struct MessyWriter<S> {
    style: S,
    text: String,
}

impl<S: Iterator<Item = u8>> MessyWriter<S> {
    fn style(&mut self) -> u8 {
        self.style.next().unwrap_or(0)
    }

    fn space(&mut self) {
        let spaces = ["", "", "", " ", "\n", "\t\r ", "  "];
        let space = spaces[usize::from(self.style()) % spaces.len()];
        self.text.push_str(space);
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match (self.style() % 4, character) {
                (0, '/') => self.text.push_str("\\/"),
                (0, _) => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        self.text.push_str(&format!("\\u{unit:04X}"));
                    }
                }
                (1, '\0'..='\u{1f}') => {
                    self.text
                        .push_str(&format!("\\u{:04x}", u32::from(character)));
                }
                _ => {
                    let quoted = serde_json::to_string(&character).unwrap();
                    self.text.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
        }
        self.text.push('"');
    }

    fn write(&mut self, sample: &Sample) {
        self.space();
        match sample {
            Sample::Literal(text) => self.text.push_str(text),
            Sample::Number(text) => self.text.push_str(text),
            Sample::Text(text) => self.string(text),
            Sample::List(items) => {
                self.text.push('[');
                for (position, item) in items.iter().enumerate() {
                    self.text.push_str(if position > 0 { "," } else { "" });
                    self.write(item);
                }
                self.space();
                self.text.push(']');
            }
            Sample::Object(members) => {
                self.text.push('{');
                for (position, (name, member)) in members.iter().enumerate() {
                    self.text.push_str(if position > 0 { "," } else { "" });
                    self.space();
                    self.string(name);
                    self.space();
                    self.text.push(':');
                    self.write(member);
                }
                self.space();
                self.text.push('}');
            }
        }
        self.space();
    }
}

/// Texts of numbers: any, and some that are often equal to each other.
pub(crate) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,2})(\\.[0-9]{1,2})?(e-?[0-2])?",
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
        "-?[1-9][0-9]{15,20}",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| format!("{x:?}")),
        "-?0\\.0{0,80}[0-9]{1,3}e-?[0-9]{2}",
    ]
}

/// Strings of all sorts of characters.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,30}",
        "\\PC{0,8}",
        prop::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
        prop::collection::vec(
            prop::sample::select(vec!['\0', '\u{1}', '"', '\\', 'a', 'ÿ']),
            0..5
        )
        .prop_map(String::from_iter),
    ]
}

/// Names from a few, so that they meet.
fn name() -> impl Strategy<Value = String> {
    let names = ["a", "b", "", "name", "a\"b", "\n", "é", "a b", "\0"];
    prop_oneof![
        4 => prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        1 => text(),
    ]
}

pub(crate) fn scalar() -> impl Strategy<Value = Sample> {
    prop_oneof![
        prop::sample::select(vec!["null", "true", "false"]).prop_map(Sample::Literal),
        number().prop_map(Sample::Number),
        text().prop_map(Sample::Text),
    ]
}

/// Any value, nested.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Sample::List),
            prop::collection::vec(scalar(), 0..6).prop_map(Sample::List),
            prop::collection::vec((name(), inner), 0..7).prop_map(Sample::Object),
        ]
    })
}

/// Two values that are alike but for one scalar.
pub(crate) fn neighbours() -> impl Strategy<Value = (Sample, Sample)> {
    (sample(), 0..8_usize, scalar()).prop_map(|(left, mut number, scalar)| {
        let mut right = left.clone();
        right.replace_scalar(&mut number, &scalar);
        (left, right)
    })
}

/// An object, nested.
pub(crate) fn object() -> impl Strategy<Value = Sample> {
    prop::collection::vec((name(), sample()), 0..8).prop_map(Sample::Object)
}

/// A change of one byte: where (as a fraction of the length), and to what.
pub(crate) fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
}

/// The bytes with the damage done.
pub(crate) fn damaged(bytes: &[u8], damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (index, byte) in damage {
        let position = index.index(bytes.len());
        bytes[position] = *byte;
    }
    bytes
}
