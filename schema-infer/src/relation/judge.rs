//! Whether what was counted of a field makes it a relation.
//!
//! A relation that was published stays, so precision goes before recall: that all values of a field happen to be keys of
//! another collection says little where the keys are small numbers or short codes. Then the names have to say the same:
//! the field is called after the collection (`iso_country` and `countries`). Only keys that nobody hits by chance speak
//! for themselves.

use crate::names::{plain_words, singular};

/// What was counted of a field and of a collection whose documents it may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// The field's own name.
    pub field: &'a str,
    /// The name of the collection.
    pub target: &'a str,
    /// The field of it whose values are named; `None` for the id.
    pub key: Option<&'a str>,
    /// Whether it is the field's own collection.
    pub is_own: bool,
    /// How many documents have a value there.
    pub documents: u64,
    /// Of how many of them every value names a document.
    pub matching: u64,
    /// How many different values there are.
    pub distinct: u64,
    /// What they look like.
    pub values: ValuesLook,
}

/// What the values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesLook {
    /// Integers, or texts of them.
    Numbers,
    /// Texts, of that many bytes at least.
    Texts {
        /// The length of the shortest.
        shortest: usize,
    },
}

/// In so many of a hundred documents the field names a document.
const PERCENT_MIN: u64 = 99;

/// A text of that length that is a key of something else is so on purpose.
const TELLING_BYTES: usize = 8;
/// Likewise where not even the field's name says that it is a key.
const UNMISTAKABLE_BYTES: usize = 16;

impl Candidate<'_> {
    /// Whether the field names documents of the collection.
    pub fn is_relation(&self) -> bool {
        if self.matching * 100 < self.documents * PERCENT_MIN {
            return false;
        }
        let at_least =
            |documents, distinct| self.documents >= documents && self.distinct >= distinct;
        let by_id = self.key.is_none();
        match (self.likeness() > 0, is_called_key(self.field) && by_id) {
            (true, true) if self.values == ValuesLook::Numbers => at_least(3, 3),
            (true, true) => at_least(3, 2),
            (true, false) => at_least(10, 5),
            (false, is_called_key) => {
                let bytes_min = if is_called_key {
                    TELLING_BYTES
                } else {
                    UNMISTAKABLE_BYTES
                };
                let tells =
                    matches!(self.values, ValuesLook::Texts { shortest } if shortest >= bytes_min);
                by_id && tells && at_least(20, 10)
            }
        }
    }

    /// How alike the names of the field and of the collection are, from 0 for not at all.
    pub fn likeness(&self) -> u8 {
        let mut field: Vec<String> = words(self.field);
        let key = self.key.map(words).unwrap_or_default();
        while let Some(last) = field.last() {
            if field.len() == 1 || !(ENDINGS.contains(&&**last) || key.contains(last)) {
                break;
            }
            field.pop();
        }
        let target = words(self.target);
        let is_parent = self.is_own && field.last().is_some_and(|last| last == "parent");
        if field == target || is_parent {
            2
        } else if field.last().is_some() && field.last() == target.last() {
            1
        } else {
            0
        }
    }
}

/// What fields that hold keys end in, beside the name of what they are keys of.
const ENDINGS: [&str; 11] = [
    "id", "key", "code", "ref", "no", "nr", "number", "uuid", "guid", "fk", "slug",
];

/// The words of a name, each in the singular and in lower case.
fn words(name: &str) -> Vec<String> {
    let words = plain_words(name);
    words
        .iter()
        .map(|word| singular(&word.to_ascii_lowercase()))
        .collect()
}

/// Whether a field says of itself that it holds keys.
fn is_called_key(field: &str) -> bool {
    let words = words(field);
    words.len() > 1
        && words
            .last()
            .is_some_and(|last| last == "id" || last == "uuid")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Candidate<'_> = Candidate {
        field: "author_id",
        target: "authors",
        key: None,
        is_own: false,
        documents: 1000,
        matching: 1000,
        distinct: 100,
        values: ValuesLook::Texts { shortest: 2 },
    };

    #[test]
    fn names_and_keys_that_nobody_hits_by_chance_make_a_relation() {
        let numbers = ValuesLook::Numbers;
        let long = ValuesLook::Texts { shortest: 9 };
        let uuids = ValuesLook::Texts { shortest: 36 };
        let by = |field, target, key| Candidate {
            field,
            target,
            key,
            ..GOOD
        };
        let cases = [
            (GOOD, true),
            (
                Candidate {
                    matching: 990,
                    ..GOOD
                },
                true,
            ),
            (
                Candidate {
                    matching: 989,
                    ..GOOD
                },
                false,
            ),
            (
                Candidate {
                    documents: 3,
                    matching: 3,
                    distinct: 2,
                    ..GOOD
                },
                true,
            ),
            (
                Candidate {
                    documents: 2,
                    matching: 2,
                    distinct: 2,
                    ..GOOD
                },
                false,
            ),
            (
                Candidate {
                    distinct: 1,
                    ..GOOD
                },
                false,
            ),
            (
                Candidate {
                    distinct: 2,
                    values: numbers,
                    ..GOOD
                },
                false,
            ),
            (
                Candidate {
                    values: numbers,
                    ..GOOD
                },
                true,
            ),
            (by("authorIds", "authors", None), true),
            (by("iso_country", "countries", Some("code")), true),
            (by("country_name", "countries", Some("name")), true),
            (by("home_team_id", "teams", None), true),
            (by("author", "book_authors", Some("name")), true),
            (
                Candidate {
                    is_own: true,
                    ..by("parent_id", "employees", None)
                },
                true,
            ),
            (by("parent_id", "employees", None), false),
            (
                Candidate {
                    distinct: 4,
                    ..by("iso_country", "countries", Some("code"))
                },
                false,
            ),
            // Small numbers and short codes name anything.
            (by("director_id", "people", None), false),
            (
                Candidate {
                    values: numbers,
                    ..by("director_id", "people", None)
                },
                false,
            ),
            (
                Candidate {
                    values: long,
                    ..by("director_id", "people", None)
                },
                true,
            ),
            (
                Candidate {
                    values: long,
                    distinct: 9,
                    ..by("director_id", "people", None)
                },
                false,
            ),
            (
                Candidate {
                    values: long,
                    ..by("director", "people", None)
                },
                false,
            ),
            (
                Candidate {
                    values: uuids,
                    ..by("director", "people", None)
                },
                true,
            ),
            (
                Candidate {
                    values: uuids,
                    ..by("director", "people", Some("token"))
                },
                false,
            ),
            (by("rating", "movies", None), false),
            (
                Candidate {
                    values: numbers,
                    ..by("year", "movies", None)
                },
                false,
            ),
        ];
        for (candidate, expected) in cases {
            assert_eq!(candidate.is_relation(), expected, "{candidate:?}");
        }
    }
}
