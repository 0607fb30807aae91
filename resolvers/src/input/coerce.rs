//! Coercion of variables and arguments to their declared types.
//!
//! Follows the GraphQL specification, "Coercing Variable Values" and "Coercing Field Arguments", and collects all
//! errors rather than the first. Values from variables are coerced here, literals in `literal`.

use std::fmt;
use std::sync::Arc;

use apollo_compiler::ast::{Type, Value as Literal, VariableDefinition};
use apollo_compiler::collections::HashSet;
use apollo_compiler::executable::Field;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node, Schema};
use thalweg_model::{ErrorCode, Kind, Value, ValueRef};

use super::scalar;
use super::{Fields, Input, Variable, Variables};
use crate::limits::Limits;

/// An input value that does not fit its type.
#[derive(Debug, Clone)]
pub(crate) struct InputError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    pub(crate) span: Option<SourceSpan>,
}

/// Coerces input values against one schema.
pub(crate) struct Coercion<'a> {
    pub(super) schema: &'a Schema,
    /// The variables that the operation declares.
    pub(super) declared: &'a [Node<VariableDefinition>],
    errors: Vec<InputError>,
    limits: &'a Limits,
    /// The variables that have been used, by their positions.
    used: HashSet<usize>,
    /// Bytes that variables have taken where they were used again.
    repeated_bytes: usize,
}

/// Where a value stands, for messages: `$input.address.zip`, `argument filter.title`.
#[derive(Clone, Copy)]
pub(super) enum Position<'a> {
    Variable(&'a str),
    Argument(&'a str),
    Member(&'a Position<'a>, &'a str),
    Item(&'a Position<'a>, usize),
}

impl fmt::Display for Position<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Variable(name) => write!(formatter, "${name}"),
            Position::Argument(name) => write!(formatter, "argument {name}"),
            Position::Member(parent, name) => write!(formatter, "{parent}.{name}"),
            Position::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

impl<'a> Coercion<'a> {
    pub(crate) fn new(
        schema: &'a Schema,
        declared: &'a [Node<VariableDefinition>],
        limits: &'a Limits,
    ) -> Self {
        Coercion {
            schema,
            declared,
            errors: Vec::new(),
            limits,
            used: HashSet::default(),
            repeated_bytes: 0,
        }
    }

    /// What has gone wrong so far; empty means that everything fits.
    pub(crate) fn into_errors(self) -> Vec<InputError> {
        self.errors
    }

    /// Records an error. The message of one that is not shown is not made either: there may be millions.
    pub(super) fn refuse(
        &mut self,
        code: ErrorCode,
        span: Option<SourceSpan>,
        message: impl FnOnce() -> String,
    ) {
        if self.errors.len() < self.limits.errors_max {
            self.errors.push(InputError {
                code,
                message: message(),
                span,
            });
        }
    }

    /// Whether the budget for repeated variables is spent. The error is recorded; nothing is worth coercing any more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.repeated_bytes > self.limits.input_bytes_max
    }

    /// The value of a variable for one use of it, which counts against the budget; `None` where it was not given, or
    /// the budget is spent.
    pub(super) fn take<'v>(
        &mut self,
        name: &Name,
        variables: &'v Variables,
        span: Option<SourceSpan>,
    ) -> Option<&'v Input> {
        let at = variables.position(name)?;
        let Variable { value, bytes, .. } = &variables.0[at];
        if !self.used.insert(at) {
            let was_exhausted = self.is_exhausted();
            self.repeated_bytes = self.repeated_bytes.saturating_add(*bytes);
            if self.is_exhausted() {
                let bytes_max = self.limits.input_bytes_max;
                if !was_exhausted {
                    self.errors.insert(
                        0,
                        InputError {
                            code: ErrorCode::LimitExceeded,
                            message: format!(
                                "${name} and other variables are used so often that their values take more than {bytes_max} bytes, which is the most that is allowed; use large values once"
                            ),
                            span,
                        },
                    );
                }
                return None;
            }
        }
        Some(value)
    }

    /// The values of the operation's variables. A provided value that no variable takes is ignored.
    pub(crate) fn variables(&mut self, provided: Option<&Value>) -> Variables {
        let mut variables = Variables::default();
        for definition in self.declared {
            let name = &definition.name;
            let value = match provided.and_then(|object| object.as_ref().get(name)) {
                Some(value) => self.json(
                    &definition.ty,
                    value,
                    &Position::Variable(name),
                    definition.location(),
                ),
                None => match &definition.default_value {
                    Some(default) => {
                        let position = Position::Variable(name);
                        self.literal(&definition.ty, default, &Variables::default(), &position)
                    }
                    None => {
                        if definition.ty.is_non_null() {
                            self.refuse(ErrorCode::BadRequest, definition.location(), || {
                                format!(
                                    "${name} of type {} is required but was not given",
                                    definition.ty
                                )
                            });
                        }
                        continue;
                    }
                },
            };
            variables.add(name.clone(), value);
        }
        variables
    }

    /// The arguments of a field, defaults included.
    pub(crate) fn arguments(&mut self, field: &Field, variables: &Variables) -> Fields {
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for definition in &field.definition.arguments {
            let name = &definition.name;
            let given = field
                .arguments
                .iter()
                .find(|argument| argument.name == *name);
            let position = Position::Argument(name);
            let value = match given.map(|argument| &argument.value) {
                Some(value) if !is_absent(value, variables) => {
                    Some(self.literal(&definition.ty, value, variables, &position))
                }
                _ => self.default_or_absent(
                    &definition.ty,
                    definition.default_value.as_ref(),
                    &position,
                    field.name.location(),
                    ErrorCode::BadRequest,
                ),
            };
            arguments.extend(value.map(|value| (name.clone(), value)));
        }
        Fields::new(arguments)
    }

    pub(super) fn default_or_absent(
        &mut self,
        ty: &Type,
        default: Option<&Node<Literal>>,
        position: &Position<'_>,
        span: Option<SourceSpan>,
        code: ErrorCode,
    ) -> Option<Input> {
        match default {
            Some(default) => Some(self.literal(ty, default, &Variables::default(), position)),
            None => {
                if ty.is_non_null() {
                    self.refuse(code, span, || {
                        format!("{position} of type {ty} is required but was not given")
                    });
                }
                None
            }
        }
    }

    /// A value from a variable.
    fn json(
        &mut self,
        ty: &Type,
        value: ValueRef<'_>,
        position: &Position<'_>,
        span: Option<SourceSpan>,
    ) -> Input {
        if value.is_null() {
            if ty.is_non_null() {
                self.refuse(ErrorCode::BadRequest, span, || {
                    format!("{position} is null, but its type is {ty}")
                });
            }
            return Input::Null;
        }
        if let Type::List(item) | Type::NonNullList(item) = ty {
            if value.kind() != Kind::List {
                return Input::List(Arc::new([self.json(item, value, position, span)]));
            }
            let items = value.items().enumerate();
            return Input::List(
                items
                    .map(|(index, found)| {
                        self.json(item, found, &Position::Item(position, index), span)
                    })
                    .collect(),
            );
        }
        let type_name = ty.inner_named_type();
        match self.schema.types.get(type_name) {
            Some(ExtendedType::Enum(definition)) => {
                let found = value
                    .as_str()
                    .and_then(|text| definition.values.get(&*text));
                if let Some(found) = found {
                    return Input::Enum(found.value.clone());
                }
                let allowed = one_of(definition.values.keys());
                self.refuse(ErrorCode::BadRequest, span, || {
                    format!(
                        "{position} is {}, but {type_name} takes {allowed}",
                        shorten(value)
                    )
                });
                Input::Null
            }
            Some(ExtendedType::InputObject(definition)) => {
                self.json_object(definition, value, position, span)
            }
            _ => match scalar::coerce(type_name, value) {
                Ok(value) => Input::Scalar(value),
                Err(expected) => {
                    self.refuse(ErrorCode::BadRequest, span, || {
                        format!(
                            "{position} is {}, but {type_name} takes {expected}",
                            shorten(value)
                        )
                    });
                    Input::Null
                }
            },
        }
    }

    fn json_object(
        &mut self,
        definition: &'a InputObjectType,
        value: ValueRef<'_>,
        position: &Position<'_>,
        span: Option<SourceSpan>,
    ) -> Input {
        if value.kind() != Kind::Object {
            self.refuse(ErrorCode::BadRequest, span, || {
                format!(
                    "{position} is {}, but {} takes an object",
                    shorten(value),
                    definition.name
                )
            });
            return Input::Null;
        }
        for (key, _) in value.members() {
            if !definition.fields.contains_key(&*key) {
                self.refuse(ErrorCode::BadRequest, span, || {
                    format!(
                        "{position} has a field {key:?}, which {} does not have",
                        definition.name
                    )
                });
            }
        }
        let mut fields = Vec::with_capacity(value.len());
        for (name, field) in &definition.fields {
            let inner = Position::Member(position, name);
            let found = match value.get(name) {
                Some(found) => Some(self.json(&field.ty, found, &inner, span)),
                None => self.default_or_absent(
                    &field.ty,
                    field.default_value.as_ref(),
                    &inner,
                    span,
                    ErrorCode::BadRequest,
                ),
            };
            fields.extend(found.map(|found| (name.clone(), found)));
        }
        Input::Object(Fields::new(fields))
    }
}

/// A variable that was not given stands for a value that was not given.
pub(super) fn is_absent(value: &Node<Literal>, variables: &Variables) -> bool {
    matches!(&**value, Literal::Variable(name) if variables.get(name).is_none())
}

fn one_of<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    const SHOWN_MAX: usize = 12;
    let names: Vec<&str> = names.map(Name::as_str).collect();
    let mut text = names
        .iter()
        .take(SHOWN_MAX)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN_MAX {
        text.push_str(", …");
    }
    text
}

fn shorten(value: ValueRef<'_>) -> String {
    shorten_text(&String::from_utf8_lossy(value.json()))
}

/// Enough of a value to recognise it by.
pub(super) fn shorten_text(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
