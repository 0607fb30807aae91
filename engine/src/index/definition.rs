//! What an index is made of, and how that is written.
//!
//! A field is written as the names on the way to it, joined by dots, then `INSTANT` and `DESC` where they apply:
//! `address.city`, `year DESC`, `tags[]`, `reviews[].author`, `published INSTANT DESC`. System fields are
//! `_createdAt`, `_updatedAt`, `_deletedAt` and `_version`. A name that would be read differently (because it has a
//! dot, white space, a bracket or a quote in it, or is that of a system field) stands as a JSON string: `"a.b".c`.

use std::fmt;
use std::str::FromStr;

use thalweg_model::{ErrorClass, ErrorCode, FieldPath, Value, write_json_string};
use thiserror::Error;

use crate::field::FieldRef;

/// How many fields an index may have.
pub const INDEX_FIELDS_MAX: usize = 16;
/// How many indexes a collection may have.
pub const INDEXES_MAX: usize = 64;
/// Longest notation of a field, in bytes.
const NOTATION_BYTES_MAX: usize = 1024;

/// What an index is made of. Two indexes of equal definitions are the same index.
///
/// ```
/// use thalweg_engine::IndexDefinition;
///
/// let index = IndexDefinition::parse(["genre", "year DESC"], false)?;
/// assert_eq!(index.to_string(), "(genre, year DESC)");
/// # Ok::<(), thalweg_engine::IndexDefinitionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexDefinition {
    /// What its rows are ordered by; ties are by id.
    pub fields: Vec<IndexField>,
    /// Whether two documents may have the same values. Null and missing are not restricted.
    pub unique: bool,
}

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexField {
    /// The field itself or, with `items`, the list.
    pub field: FieldRef,
    /// One row for each distinct item of the list, rather than one for the document.
    pub items: Option<ListItems>,
    /// Greatest first.
    pub descending: bool,
    /// Take RFC 3339 strings as the instants that they name. Such a field serves orders and tests of instants, and
    /// no order by text.
    pub instant: bool,
}

/// What of a list's items is indexed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListItems {
    /// The items as they are.
    Whole,
    /// A field of each item; null for an item that lacks it.
    Field(FieldPath),
}

/// A definition that cannot be an index.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IndexDefinitionError {
    /// It has no fields.
    #[error("an index has at least one field")]
    NoFields,
    /// It has too many.
    #[error("an index has at most {INDEX_FIELDS_MAX} fields, this one has {fields}")]
    TooManyFields {
        /// How many.
        fields: usize,
    },
    /// It goes through more than one list.
    #[error("an index goes through the items of one list at most: {first:?} and {second:?} do")]
    TwoLists {
        /// One of the fields.
        first: String,
        /// Another.
        second: String,
    },
    /// It names a field twice.
    #[error("the index names {field:?} twice")]
    Twice {
        /// The field.
        field: String,
    },
    /// The field cannot be indexed.
    #[error("{field:?} cannot be indexed: documents are always found by it")]
    Primary {
        /// The field.
        field: String,
    },
    /// The notation is wrong.
    #[error("{text:?} is no field of an index: {reason}")]
    Notation {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl IndexDefinitionError {
    /// The code that a client sees.
    pub fn code(&self) -> ErrorCode {
        ErrorCode::BadRequest
    }

    /// Who has to act.
    pub fn class(&self) -> ErrorClass {
        self.code().class()
    }
}

impl IndexDefinition {
    /// Reads the notation of its fields, and checks it.
    pub fn parse<S: AsRef<str>>(
        fields: impl IntoIterator<Item = S>,
        unique: bool,
    ) -> Result<IndexDefinition, IndexDefinitionError> {
        let fields: Result<_, _> = fields.into_iter().map(|it| it.as_ref().parse()).collect();
        let definition = IndexDefinition {
            fields: fields?,
            unique,
        };
        definition.check()?;
        Ok(definition)
    }

    /// Refuses what cannot be an index.
    pub fn check(&self) -> Result<(), IndexDefinitionError> {
        if self.fields.is_empty() {
            return Err(IndexDefinitionError::NoFields);
        }
        if self.fields.len() > INDEX_FIELDS_MAX {
            return Err(IndexDefinitionError::TooManyFields {
                fields: self.fields.len(),
            });
        }
        for (position, field) in self.fields.iter().enumerate() {
            let earlier = &self.fields[..position];
            let same =
                |other: &&IndexField| other.field == field.field && other.items == field.items;
            if earlier.iter().any(|other| same(&other)) {
                let field = field.to_string();
                return Err(IndexDefinitionError::Twice { field });
            }
            let list = earlier.iter().find(|other| other.items.is_some());
            if let (Some(first), Some(_)) = (list, &field.items) {
                return Err(IndexDefinitionError::TwoLists {
                    first: first.to_string(),
                    second: field.to_string(),
                });
            }
            if matches!(field.field, FieldRef::Id | FieldRef::CommitTs) {
                let field = field.to_string();
                return Err(IndexDefinitionError::Primary { field });
            }
            let text = field.to_string();
            let is_system = !matches!(field.field, FieldRef::Path(_));
            if is_system && (field.items.is_some() || field.instant) {
                let reason = "a system field is no list, and needs no INSTANT";
                return Err(IndexDefinitionError::Notation { text, reason });
            }
            if text.len() > NOTATION_BYTES_MAX {
                let reason = "a field has at most 1,024 bytes";
                return Err(IndexDefinitionError::Notation { text, reason });
            }
        }
        Ok(())
    }

    /// The notation of its fields.
    pub fn field_texts(&self) -> Vec<String> {
        self.fields.iter().map(IndexField::to_string).collect()
    }

    /// Whether a document may have several rows, or none.
    pub fn has_list(&self) -> bool {
        self.fields.iter().any(|field| field.items.is_some())
    }
}

impl fmt::Display for IndexDefinition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unique {
            formatter.write_str("unique ")?;
        }
        write!(formatter, "({})", self.field_texts().join(", "))
    }
}

const SYSTEM_FIELDS: [(&str, FieldRef); 6] = [
    ("_id", FieldRef::Id),
    ("_version", FieldRef::Version),
    ("_commitTs", FieldRef::CommitTs),
    ("_createdAt", FieldRef::CreatedAt),
    ("_updatedAt", FieldRef::UpdatedAt),
    ("_deletedAt", FieldRef::DeletedAt),
];

impl fmt::Display for IndexField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let system = SYSTEM_FIELDS.iter().find(|(_, it)| *it == self.field);
        match (&self.field, system) {
            (FieldRef::Path(path), _) => write_path(path, formatter)?,
            (_, Some((name, _))) => formatter.write_str(name)?,
            (field, None) => write!(formatter, "{field:?}")?,
        }
        match &self.items {
            None => {}
            Some(ListItems::Whole) => formatter.write_str("[]")?,
            Some(ListItems::Field(path)) => {
                formatter.write_str("[].")?;
                write_path(path, formatter)?;
            }
        }
        if self.instant {
            formatter.write_str(" INSTANT")?;
        }
        if self.descending {
            formatter.write_str(" DESC")?;
        }
        Ok(())
    }
}

/// Whether a name has to stand as a JSON string.
fn needs_quotes(name: &str) -> bool {
    let special = |character: char| {
        matches!(character, '.' | '[' | ']' | '"')
            || character.is_whitespace()
            || character.is_control()
    };
    name.is_empty()
        || name.contains(special)
        || SYSTEM_FIELDS.iter().any(|(system, _)| *system == name)
}

fn write_path(path: &FieldPath, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (position, name) in path.segments().iter().enumerate() {
        if position > 0 {
            formatter.write_str(".")?;
        }
        if needs_quotes(name) {
            let mut quoted = Vec::new();
            write_json_string(name, &mut quoted);
            formatter.write_str(&String::from_utf8_lossy(&quoted))?;
        } else {
            formatter.write_str(name)?;
        }
    }
    Ok(())
}

impl FromStr for IndexField {
    type Err = IndexDefinitionError;

    fn from_str(text: &str) -> Result<IndexField, IndexDefinitionError> {
        let wrong = |reason| IndexDefinitionError::Notation {
            text: text.chars().take(200).collect(),
            reason,
        };
        if text.len() > NOTATION_BYTES_MAX {
            return Err(wrong("a field has at most 1,024 bytes"));
        }
        let mut rest = text.trim();
        let mut names = Vec::new();
        let mut list = None;
        let mut is_system = None;
        loop {
            let (name, quoted, after) = take_name(rest).map_err(wrong)?;
            if names.is_empty() && !quoted && !after.starts_with(['.', '[']) {
                is_system = SYSTEM_FIELDS.iter().find(|(it, _)| *it == name);
            }
            names.push(name);
            rest = after;
            if let Some(after) = rest.strip_prefix("[]") {
                if list.is_some() {
                    return Err(wrong("a field goes through the items of one list at most"));
                }
                list = FieldPath::new(std::mem::take(&mut names));
                rest = after;
                if !rest.starts_with('.') {
                    break;
                }
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None => break,
            }
        }
        let (mut instant, mut descending) = (false, false);
        let mut words = rest.split_whitespace().peekable();
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return Err(wrong("a name is followed by '.', '[]' or white space"));
        }
        instant |= words
            .next_if(|word| word.eq_ignore_ascii_case("INSTANT"))
            .is_some();
        if words
            .next_if(|word| word.eq_ignore_ascii_case("DESC"))
            .is_some()
        {
            descending = true;
        } else {
            words.next_if(|word| word.eq_ignore_ascii_case("ASC"));
        }
        if words.next().is_some() {
            return Err(wrong(
                "only INSTANT, then ASC or DESC, may follow the field",
            ));
        }
        let inner = FieldPath::new(names);
        let (field, items) = match (is_system, list, inner) {
            (Some((_, field)), _, _) => (field.clone(), None),
            (None, Some(list), None) => (FieldRef::Path(list), Some(ListItems::Whole)),
            (None, Some(list), Some(inner)) => {
                (FieldRef::Path(list), Some(ListItems::Field(inner)))
            }
            (None, None, Some(path)) => (FieldRef::Path(path), None),
            (None, None, None) => return Err(wrong("it has no name")),
        };
        Ok(IndexField {
            field,
            items,
            descending,
            instant,
        })
    }
}

/// The name at the start, whether it stood in quotes, and what follows it.
fn take_name(text: &str) -> Result<(String, bool, &str), &'static str> {
    if text.starts_with('"') {
        let mut escaped = false;
        let close = text.char_indices().skip(1).find(|(_, character)| {
            let closes = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            closes
        });
        let (close, _) = close.ok_or("a quote is not closed")?;
        let (quoted, rest) = text.split_at(close + 1);
        let value =
            Value::parse(quoted.as_bytes()).map_err(|_| "a quoted name is a JSON string")?;
        let name = value
            .as_ref()
            .as_str()
            .ok_or("a quoted name is a JSON string")?;
        return Ok((name.into_owned(), true, rest));
    }
    let end = text.find(|character: char| {
        matches!(character, '.' | '[' | ']' | '"') || character.is_whitespace()
    });
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    if name.is_empty() {
        return Err("a name is missing");
    }
    if name.contains(char::is_control) {
        return Err("a name with control characters stands in quotes");
    }
    Ok((name.to_owned(), false, rest))
}

#[cfg(test)]
mod tests;
