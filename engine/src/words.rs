//! What a run depends on, in words for people: `every document where year >= 1980 and (title = "Tron" or not tags is null)`.
//!
//! Programs do not read these words, and they are cut where they would become long.

#[cfg(test)]
mod tests;

use std::fmt::{Display, Write};
use std::ops::Bound;

use thalweg_model::{FieldPath, Value, write_json_string, write_rfc3339};

use crate::dependency::{Range, Scope};
use crate::field::FieldRef;
use crate::find::Deleted;
use crate::order::OrderKey;
use crate::predicate::{Comparison, EntryTest, Predicate, Test};

/// So long are the words at most, in bytes, the mark that they are cut aside.
const WORDS_BYTES_MAX: usize = 1_000;
/// So many values of a list are written out.
const VALUES_MAX: usize = 8;

impl Scope {
    /// Which documents they are, such as `id = "7"` or `year < 1980, in order of title`.
    pub fn in_words(&self) -> String {
        let mut words = Words::default();
        match self {
            Scope::Document(id) => words.test("id", &Test::Eq(Value::string(id.as_str()))),
            Scope::Range(range) => words.range(range),
        }
        words.0
    }
}

impl Display for FieldRef {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            FieldRef::Id => "id",
            FieldRef::Version => "_version",
            FieldRef::CommitTs => "_commitTs",
            FieldRef::CreatedAt => "_createdAt",
            FieldRef::UpdatedAt => "_updatedAt",
            FieldRef::DeletedAt => "_deletedAt",
            FieldRef::ExpiresAt => "_expiresAt",
            FieldRef::PurgeAt => "_purgeAt",
            FieldRef::Path(path) => return write_path(path, formatter),
        })
    }
}

/// In the notation of indexes: a name that is more than letters, digits and `_` stands as a JSON string.
fn write_path(path: &FieldPath, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for (index, name) in path.segments().iter().enumerate() {
        if index > 0 {
            formatter.write_str(".")?;
        }
        let is_plain = |character: char| character.is_alphanumeric() || character == '_';
        if !name.is_empty() && name.chars().all(is_plain) {
            formatter.write_str(name)?;
        } else {
            let mut quoted = Vec::new();
            write_json_string(name, &mut quoted);
            formatter.write_str(&String::from_utf8_lossy(&quoted))?;
        }
    }
    Ok(())
}

/// Words in the making. What comes after they are full is left out.
#[derive(Default)]
struct Words(String);

impl Words {
    fn say(&mut self, words: impl Display) {
        const CUT: &str = "…";
        if self.0.ends_with(CUT) && self.0.len() > WORDS_BYTES_MAX {
            return;
        }
        // A string takes everything.
        let _ = write!(self.0, "{words}");
        if self.0.len() > WORDS_BYTES_MAX {
            let end = self.0.floor_char_boundary(WORDS_BYTES_MAX);
            self.0.truncate(end);
            self.0.push_str(CUT);
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() > WORDS_BYTES_MAX
    }

    fn range(&mut self, range: &Range) {
        let Range {
            filter,
            deleted,
            order,
            from,
            to,
        } = range;
        match &**filter {
            Predicate::True => self.say("every document"),
            filter => self.predicate(filter, Within::Nothing),
        }
        match deleted {
            Deleted::Exclude => {}
            Deleted::Include => self.say(", deleted ones too"),
            Deleted::Only => self.say(", deleted ones only"),
        }
        let (from, to) = (is_bound(from), is_bound(to));
        if !order.is_empty() || from || to {
            self.say(", in order of ");
            self.order(order);
        }
        self.say(match (from, to) {
            (false, false) => "",
            (true, false) => " from a place in it on",
            (false, true) => " up to a place in it",
            (true, true) => " between two places in it",
        });
    }

    fn order(&mut self, order: &[OrderKey]) {
        for key in order {
            self.say(&key.field);
            self.say(if key.descending { " DESC, " } else { ", " });
        }
        self.say("id");
    }

    fn predicate(&mut self, predicate: &Predicate, within: Within) {
        match predicate {
            Predicate::True => self.say("true"),
            Predicate::And(all) if all.is_empty() => self.say("true"),
            Predicate::Or(any) if any.is_empty() => self.say("false"),
            Predicate::And(all) => self.joined(all, " and ", Within::And, within),
            Predicate::Or(any) => self.joined(any, " or ", Within::Or, within),
            Predicate::Not(inner) => {
                self.say("not ");
                self.predicate(inner, Within::Not);
            }
            Predicate::Field(field, test) => self.test(field, test),
            Predicate::Item(test) => self.test("it", test),
            Predicate::Related(join) => {
                self.say(format_args!("{} names by ", join.field));
                self.say(format_args!("{} one where (", join.key));
                self.predicate(&join.filter, Within::Nothing);
                self.say(")");
            }
        }
    }

    fn joined(&mut self, parts: &[Predicate], by: &str, this: Within, within: Within) {
        let needs_brackets = parts.len() > 1 && within != Within::Nothing && within != this;
        self.say(if needs_brackets { "(" } else { "" });
        for (index, part) in parts.iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.say(if index > 0 { by } else { "" });
            self.predicate(part, if parts.len() > 1 { this } else { within });
        }
        self.say(if needs_brackets { ")" } else { "" });
    }

    fn test(&mut self, subject: impl Display + Copy, test: &Test) {
        match test {
            Test::Eq(value) => self.compared(subject, "=", value),
            Test::Ne(value) => self.compared(subject, "!=", value),
            Test::Compare(comparison, value) => self.compared(subject, sign(*comparison), value),
            Test::Instant(comparison, micros) => {
                let mut instant = Vec::new();
                write_rfc3339(*micros, &mut instant);
                let instant = String::from_utf8_lossy(&instant);
                self.say(format_args!("{subject} {} {instant}", sign(*comparison)));
            }
            Test::In(values) => self.listed(subject, "in", values),
            Test::Among(values) => self.listed(subject, "in", values.values()),
            Test::NotIn(values) => self.listed(subject, "not in", values),
            Test::IsNull(true) => self.say(format_args!("{subject} is null")),
            Test::IsNull(false) => self.say(format_args!("{subject} is not null")),
            Test::Exists(true) => self.say(format_args!("{subject} exists")),
            Test::Exists(false) => self.say(format_args!("{subject} does not exist")),
            Test::StartsWith(text) => self.say(format_args!("{subject} starts with {text:?}")),
            Test::EndsWith(text) => self.say(format_args!("{subject} ends with {text:?}")),
            Test::Contains(text) => self.say(format_args!("{subject} contains {text:?}")),
            Test::Like(pattern) => self.say(format_args!("{subject} like {:?}", pattern.text())),
            Test::Some(inner) => self.items("some", subject, inner),
            Test::Every(inner) => self.items("every", subject, inner),
            Test::None(inner) => self.items("no", subject, inner),
            Test::ItemSome(inner) => self.of("some item of", subject, inner),
            Test::ItemEvery(inner) => self.of("every item of", subject, inner),
            Test::ItemNone(inner) => self.of("no item of", subject, inner),
            Test::EntrySome(entry) => self.entries("some", subject, entry),
            Test::EntryEvery(entry) => self.entries("every", subject, entry),
            Test::EntryNone(entry) => self.entries("no", subject, entry),
            Test::Length(inner) => self.of("the length of", subject, inner),
            Test::AllOf(tests) => self.tests(subject, tests, " and "),
            Test::AnyOf(tests) => self.tests(subject, tests, " or "),
            Test::Not(inner) => {
                self.say("not ");
                self.test(subject, inner);
            }
        }
    }

    fn compared(&mut self, subject: impl Display, sign: &str, value: &Value) {
        self.say(format_args!("{subject} {sign} "));
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        self.say(String::from_utf8_lossy(value.json()));
    }

    fn listed(&mut self, subject: impl Display, how: &str, values: &[Value]) {
        self.say(format_args!("{subject} {how} ["));
        for (index, value) in values.iter().take(VALUES_MAX).enumerate() {
            self.say(if index > 0 { ", " } else { "" });
            self.value(value);
        }
        if values.len() > VALUES_MAX {
            self.say(format_args!(", and {} more", values.len() - VALUES_MAX));
        }
        self.say("]");
    }

    fn of(&mut self, what: &str, subject: impl Display + Copy, test: &Test) {
        self.test(&*format!("{what} {subject}"), test);
    }

    fn items(&mut self, which: &str, subject: impl Display, predicate: &Predicate) {
        self.say(format_args!("{which} item of {subject} where ("));
        self.predicate(predicate, Within::Nothing);
        self.say(")");
    }

    fn entries(&mut self, which: &str, subject: impl Display, entry: &EntryTest) {
        let EntryTest { key, value, object } = entry;
        self.say(format_args!("{which} entry of {subject} where ("));
        let mut between = "";
        for (name, test) in [("key", key), ("value", value)] {
            let Some(test) = test else { continue };
            self.say(std::mem::replace(&mut between, " and "));
            self.test(name, test);
        }
        if let Some(object) = object {
            self.say(between);
            self.predicate(object, Within::And);
        }
        self.say(")");
    }

    fn tests(&mut self, subject: impl Display + Copy, tests: &[Test], by: &str) {
        let needs_brackets = tests.len() > 1;
        self.say(if needs_brackets { "(" } else { "" });
        for (index, test) in tests.iter().enumerate() {
            self.say(if index > 0 { by } else { "" });
            self.test(subject, test);
        }
        self.say(if needs_brackets { ")" } else { "" });
    }
}

/// What a predicate is a part of, which decides whether it needs brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    And,
    Or,
    Not,
}

fn is_bound<T>(bound: &Bound<T>) -> bool {
    !matches!(bound, Bound::Unbounded)
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}
