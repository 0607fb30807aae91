//! Input values after coercion: what arguments and variables have become.
//!
//! Absent is not null: a field that was not given is not in its object. Scalars are JSON in stored form, numbers with
//! the digits they were written in.

mod coerce;
mod literal;
mod scalar;

use std::sync::Arc;

use apollo_compiler::Name;
use thalweg_model::{Value, write_json_string};

pub(crate) use coerce::{Coercion, InputError};

/// A coerced input value. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Null,
    /// A scalar other than null; a JSON scalar may hold anything.
    Scalar(Value),
    Enum(Name),
    List(Arc<[Input]>),
    Object(Fields),
}

/// The fields of an input object, or the arguments of a field, in no particular order and without duplicates.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Fields(Arc<[(Name, Input)]>);

impl Fields {
    pub(crate) fn new(fields: Vec<(Name, Input)>) -> Self {
        Fields(fields.into())
    }

    /// The field's value; `None` when it was not given.
    pub(crate) fn get(&self, name: &str) -> Option<&Input> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// The field's value, with null taken for absent.
    pub(crate) fn present(&self, name: &str) -> Option<&Input> {
        self.get(name).filter(|value| !matches!(value, Input::Null))
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&Name, &Input)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The text of a string or `ID` argument.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.present(name)?.as_text()
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.present(name)?.as_scalar()?.as_ref().as_i64()
    }

    /// A Boolean argument; absent and null are false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self.present(name).and_then(Input::as_scalar);
        value
            .and_then(|value| value.as_ref().as_bool())
            .unwrap_or(false)
    }
}

impl Input {
    pub(crate) fn as_scalar(&self) -> Option<&Value> {
        match self {
            Input::Scalar(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<String> {
        match self {
            Input::Scalar(value) => value.as_ref().as_str().map(|text| text.into_owned()),
            Input::Enum(name) => Some(name.as_str().to_owned()),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> &[Input] {
        match self {
            Input::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Fields> {
        match self {
            Input::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// About how much memory the value takes when it is expanded: its JSON, and a node for each value in it.
    fn bytes(&self) -> usize {
        let inner = match self {
            Input::Null => 0,
            Input::Scalar(value) => value.as_stored().len(),
            Input::Enum(name) => name.len(),
            Input::List(items) => items.iter().map(Input::bytes).sum(),
            Input::Object(fields) => fields
                .iter()
                .map(|(name, value)| name.len() + value.bytes())
                .sum(),
        };
        size_of::<Input>() + inner
    }

    /// Appends the value as JSON.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Input::Null => out.extend_from_slice(b"null"),
            Input::Scalar(value) => out.extend_from_slice(value.json()),
            Input::Enum(name) => write_json_string(name, out),
            Input::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Input::Object(fields) => {
                out.push(b'{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_json_string(name, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// The variables of one request, coerced. A variable that was not given and has no default is not among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Variables(Vec<Variable>);

#[derive(Debug, Clone, PartialEq)]
struct Variable {
    name: Name,
    value: Input,
    /// About how much memory the value takes wherever it is expanded.
    bytes: usize,
}

impl Variables {
    fn add(&mut self, name: Name, value: Input) {
        let bytes = value.bytes();
        self.0.push(Variable { name, value, bytes });
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Input> {
        self.position(name).map(|at| &self.0[at].value)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|variable| variable.name == name)
    }

    /// A Boolean variable, as `@skip`, `@include` and `@live` use them.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_scalar()?.as_ref().as_bool()
    }

    /// The variables as a JSON object in the order of their definitions: equal bytes mean equal variables.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        for (index, variable) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_json_string(&variable.name, &mut out);
            out.push(b':');
            variable.value.write_json(&mut out);
        }
        out.push(b'}');
        out
    }
}

#[cfg(test)]
mod tests;
