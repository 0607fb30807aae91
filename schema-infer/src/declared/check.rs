//! One document against a declared schema.

use std::fmt;

use thalweg_model::{Kind, ValueRef, write_json_string};

use super::{DeclaredObject, DeclaredSchema, DeclaredType, member_path};

/// How many mistakes of one document are told.
pub const MISTAKES_MAX: usize = 20;

/// The member that every document may have, whatever is declared: its id.
pub(super) const ID_MEMBER: &str = "id";

/// What is wrong at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in the notation of indexes, with `[]` for the items of a list and `{}` for the values of a map.
    pub path: String,
    /// The declared type; nothing for a field that is not declared.
    pub expected: Option<String>,
    /// What is there.
    pub found: Found,
}

/// What is there instead of what is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// `null`
    Null,
    /// A value of another kind or format: `a string`.
    Other(&'static str),
    /// A field that is not declared.
    Undeclared,
}

impl Found {
    /// A word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Found::Nothing => "MISSING",
            Found::Null => "NULL",
            Found::Other(_) => "TYPE",
            Found::Undeclared => "UNDECLARED",
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Nothing => "missing",
            Found::Null => "null",
            Found::Other(what) => what,
            Found::Undeclared => "not declared",
        })
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mistake {
            path,
            expected,
            found,
        } = self;
        match expected {
            Some(expected) => write!(f, "{path} is {found}, but must be {expected}"),
            None => write!(f, "{path} is not declared"),
        }
    }
}

/// The mistakes of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The first [`MISTAKES_MAX`].
    pub list: Vec<Mistake>,
    /// How many there are besides.
    pub more: usize,
}

impl Mistakes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn add(&mut self, mistake: impl FnOnce() -> Mistake) {
        if self.list.len() < MISTAKES_MAX {
            self.list.push(mistake());
        } else {
            self.more += 1;
        }
    }

    /// As JSON: `[{"path": …, "kind": …, "expected": …, "found": …}, …]`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = vec![b'['];
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"path\":");
            write_json_string(&mistake.path, &mut out);
            out.extend_from_slice(format!(",\"kind\":\"{}\"", mistake.found.kind()).as_bytes());
            if let Some(expected) = &mistake.expected {
                out.extend_from_slice(b",\"expected\":");
                write_json_string(expected, &mut out);
            }
            out.extend_from_slice(b",\"found\":");
            write_json_string(&mistake.found.to_string(), &mut out);
            out.push(b'}');
        }
        out.push(b']');
        out
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            mistake.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl DeclaredSchema {
    /// What is wrong with a document; fields of those names beside the declared ones are `allowed`.
    pub fn check(&self, document: ValueRef<'_>, allowed: &[&str]) -> Mistakes {
        let mut mistakes = Mistakes::default();
        let check = Check {
            is_strict: self.is_strict,
            allowed,
        };
        check.object(&self.object, document, &Path::Root, &mut mistakes);
        mistakes
    }
}

struct Check<'a> {
    is_strict: bool,
    /// Top-level members that may be there though they are not declared.
    allowed: &'a [&'a str],
}

/// The way to a value, as a chain through the stack: it costs nothing until there is a mistake.
enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>),
    Value(&'p Path<'p>),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Member(parent, name) => member_path(&parent.text(), name),
            Path::Item(list) => list.text() + "[]",
            Path::Value(map) => map.text() + "{}",
        }
    }
}

impl Check<'_> {
    /// Members are looked at once each, in the order of the document, which mostly is that of the declaration.
    fn object(
        &self,
        declared: &DeclaredObject,
        object: ValueRef<'_>,
        path: &Path<'_>,
        mistakes: &mut Mistakes,
    ) {
        let fields = declared.fields();
        let mut seen = 0;
        let mut next = 0;
        for (name, value) in object.members() {
            let position = match fields.get(next) {
                Some(field) if *field.name == *name => Some(next),
                _ => declared.position(&name),
            };
            let here = Path::Member(path, &name);
            let Some(position) = position else {
                let is_allowed = matches!(path, Path::Root)
                    && (*name == *ID_MEMBER || self.allowed.contains(&&*name));
                if self.is_strict && !is_allowed {
                    mistakes.add(|| Mistake {
                        path: here.text(),
                        expected: None,
                        found: Found::Undeclared,
                    });
                }
                continue;
            };
            seen += 1;
            next = position + 1;
            let field = &fields[position];
            self.value(&field.ty, field.is_required, value, &here, mistakes);
        }
        if seen == fields.len() {
            return;
        }
        for field in fields.iter().filter(|field| field.is_required) {
            if object.get(&field.name).is_none() {
                mistakes.add(|| Mistake {
                    path: Path::Member(path, &field.name).text(),
                    expected: Some(field.describe()),
                    found: Found::Nothing,
                });
            }
        }
    }

    fn value(
        &self,
        ty: &DeclaredType,
        is_required: bool,
        value: ValueRef<'_>,
        path: &Path<'_>,
        mistakes: &mut Mistakes,
    ) {
        let mut refuse = |found: Found| {
            mistakes.add(|| Mistake {
                path: path.text(),
                expected: Some(format!("{ty}{}", if is_required { "!" } else { "" })),
                found,
            });
        };
        let kind = value.kind();
        match ty {
            _ if kind == Kind::Null => {
                if is_required {
                    refuse(Found::Null);
                }
            }
            DeclaredType::Scalar(scalar) if scalar.takes(value) => {}
            DeclaredType::List { item, is_required } if kind == Kind::List => {
                let here = Path::Item(path);
                for found in value.items() {
                    self.value(item, *is_required, found, &here, mistakes);
                }
            }
            DeclaredType::Object(object) if kind == Kind::Object => {
                self.object(object, value, path, mistakes);
            }
            DeclaredType::Map {
                value: inner,
                is_required,
            } if kind == Kind::Object => {
                let here = Path::Value(path);
                for (_, found) in value.members() {
                    self.value(inner, *is_required, found, &here, mistakes);
                }
            }
            _ => refuse(Found::Other(describe(value))),
        }
    }
}

/// The kind of a value as the counts tell it.
fn describe(value: ValueRef<'_>) -> &'static str {
    match value.kind() {
        Kind::Null => "null",
        Kind::Boolean => "a boolean",
        Kind::Int => {
            let is_int32 = value
                .as_i64()
                .is_some_and(|number| i32::try_from(number).is_ok());
            if is_int32 {
                "an integer"
            } else {
                "an integer beyond 32 bits"
            }
        }
        Kind::Float => "a fraction",
        Kind::String => "a string",
        Kind::List => "a list",
        Kind::Object => "an object",
    }
}
