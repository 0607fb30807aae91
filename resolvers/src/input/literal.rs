//! Literals of the operation's text, with variables in them.
//!
//! The validator has checked the literals of built-in types. What it lets pass is checked here: custom scalars,
//! fields given twice, and variables inside lists and objects.

use std::sync::Arc;

use apollo_compiler::ast::{Type, Value as Literal};
use apollo_compiler::collections::HashSet;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::{ExtendedType, InputObjectType};
use apollo_compiler::{Name, Node};
use thalweg_model::{ErrorCode, Value, write_json_string};

use super::coerce::{Coercion, Position, is_absent, shorten_text};
use super::scalar;
use super::{Fields, Input, Variables};

impl<'a> Coercion<'a> {
    /// A value from the operation's text, with variables in it.
    pub(super) fn literal(
        &mut self,
        ty: &Type,
        literal: &Node<Literal>,
        variables: &Variables,
        position: &Position<'_>,
    ) -> Input {
        let span = literal.location();
        if self.is_exhausted() {
            return Input::Null;
        }
        if let Literal::Variable(name) = &**literal {
            let is_given = variables.get(name).is_some();
            return match self.take(name, variables, span) {
                Some(value) => self.fit(ty, value.clone(), position, span),
                None if is_given => Input::Null,
                None => self.fit(ty, Input::Null, position, span),
            };
        }
        if literal.is_null() {
            if ty.is_non_null() {
                self.refuse(ErrorCode::ValidationFailed, span, || {
                    format!("{position} is null, but its type is {ty}")
                });
            }
            return Input::Null;
        }
        if let Type::List(item) | Type::NonNullList(item) = ty {
            let Literal::List(items) = &**literal else {
                return Input::List(Arc::new([self.literal(item, literal, variables, position)]));
            };
            let items = items.iter().enumerate();
            return Input::List(
                items
                    .map(|(index, found)| {
                        self.literal(item, found, variables, &Position::Item(position, index))
                    })
                    .collect(),
            );
        }
        let type_name = ty.inner_named_type();
        let schema = self.schema;
        match (schema.types.get(type_name), &**literal) {
            (Some(ExtendedType::Enum(_)), Literal::Enum(name)) => Input::Enum(name.clone()),
            (Some(ExtendedType::InputObject(definition)), Literal::Object(fields)) => {
                self.literal_object(definition, fields, variables, position, span)
            }
            (Some(ExtendedType::Scalar(_)), _) => {
                let mut json = Vec::new();
                self.write_literal(literal, variables, &mut json);
                let coerced = Value::parse(&json)
                    .map_err(|error| error.to_string())
                    .and_then(|value| {
                        scalar::coerce(type_name, value.as_ref())
                            .map_err(|expected| format!("{type_name} takes {expected}"))
                    });
                match coerced {
                    Ok(value) => Input::Scalar(value),
                    // Cut off where the budget ran out, so it says nothing.
                    Err(_) if self.is_exhausted() => Input::Null,
                    Err(reason) => {
                        self.refuse(ErrorCode::ValidationFailed, span, || {
                            format!(
                                "{position} is {}, but {reason}",
                                shorten_text(&literal.to_string())
                            )
                        });
                        Input::Null
                    }
                }
            }
            _ => {
                self.refuse(ErrorCode::ValidationFailed, span, || {
                    format!(
                        "{position} is {}, which is no {type_name}",
                        shorten_text(&literal.to_string())
                    )
                });
                Input::Null
            }
        }
    }

    fn literal_object(
        &mut self,
        definition: &'a InputObjectType,
        given: &[(Name, Node<Literal>)],
        variables: &Variables,
        position: &Position<'_>,
        span: Option<SourceSpan>,
    ) -> Input {
        self.check_unique(given);
        let mut fields = Vec::with_capacity(given.len());
        for (name, field) in &definition.fields {
            let inner = Position::Member(position, name);
            let found = given
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
            let value = match found {
                Some(found) if !is_absent(found, variables) => {
                    Some(self.literal(&field.ty, found, variables, &inner))
                }
                found => {
                    let code = match found {
                        Some(_) => ErrorCode::BadRequest,
                        None => ErrorCode::ValidationFailed,
                    };
                    self.default_or_absent(
                        &field.ty,
                        field.default_value.as_ref(),
                        &inner,
                        span,
                        code,
                    )
                }
            };
            fields.extend(value.map(|value| (name.clone(), value)));
        }
        Input::Object(Fields::new(fields))
    }

    /// A variable's value where it is used: the validator compares the names of the types but, inside lists and
    /// objects, not how they are wrapped.
    fn fit(
        &mut self,
        ty: &Type,
        value: Input,
        position: &Position<'_>,
        span: Option<SourceSpan>,
    ) -> Input {
        let is_custom_scalar = matches!(
            self.schema.types.get(ty.inner_named_type()),
            Some(ExtendedType::Scalar(scalar)) if !scalar.is_built_in()
        );
        match (ty, value) {
            (_, Input::Null) => {
                if ty.is_non_null() {
                    self.refuse(ErrorCode::BadRequest, span, || {
                        format!("{position} is null, but its type is {ty}")
                    });
                }
                Input::Null
            }
            (Type::List(item) | Type::NonNullList(item), Input::List(items)) => Input::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, found)| {
                        self.fit(item, found.clone(), &Position::Item(position, index), span)
                    })
                    .collect(),
            ),
            (Type::List(item) | Type::NonNullList(item), single) => {
                Input::List(Arc::new([self.fit(item, single, position, span)]))
            }
            (Type::Named(_) | Type::NonNullNamed(_), Input::List(items)) if is_custom_scalar => {
                let mut json = Vec::new();
                Input::List(items).write_json(&mut json);
                Value::parse(&json).map_or(Input::Null, Input::Scalar)
            }
            (Type::Named(_) | Type::NonNullNamed(_), Input::List(_)) => {
                self.refuse(ErrorCode::ValidationFailed, span, || {
                    format!("{position} is a list, but its type is {ty}")
                });
                Input::Null
            }
            (_, value) => value,
        }
    }

    /// A literal as JSON, for scalars. An enum value has no JSON form and is refused.
    fn write_literal(&mut self, literal: &Node<Literal>, variables: &Variables, out: &mut Vec<u8>) {
        if self.is_exhausted() {
            return;
        }
        match &**literal {
            Literal::Null => out.extend_from_slice(b"null"),
            Literal::Boolean(true) => out.extend_from_slice(b"true"),
            Literal::Boolean(false) => out.extend_from_slice(b"false"),
            Literal::Int(number) => out.extend_from_slice(number.as_str().as_bytes()),
            Literal::Float(number) => out.extend_from_slice(number.as_str().as_bytes()),
            Literal::String(text) => write_json_string(text, out),
            Literal::Enum(name) => {
                self.refuse(ErrorCode::ValidationFailed, literal.location(), || {
                    format!(
                        "{name} is an enum value, which JSON does not have; quote it: \"{name}\""
                    )
                });
                out.extend_from_slice(b"null");
            }
            Literal::Variable(name) => match self.take(name, variables, literal.location()) {
                Some(value) => value.write_json(out),
                None => {
                    self.check_declared(name, literal.location());
                    out.extend_from_slice(b"null");
                }
            },
            Literal::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    self.write_literal(item, variables, out);
                }
                out.push(b']');
            }
            Literal::Object(fields) => {
                self.check_unique(fields);
                out.push(b'{');
                let mut is_first = true;
                for (name, value) in fields {
                    if let Literal::Variable(variable) = &**value
                        && variables.get(variable).is_none()
                    {
                        self.check_declared(variable, value.location());
                        continue;
                    }
                    if !is_first {
                        out.push(b',');
                    }
                    is_first = false;
                    write_json_string(name, out);
                    out.push(b':');
                    self.write_literal(value, variables, out);
                }
                out.push(b'}');
            }
        }
    }

    /// The validator does not look for variables in the objects of custom scalars.
    fn check_declared(&mut self, name: &Name, span: Option<SourceSpan>) {
        if !self
            .declared
            .iter()
            .any(|definition| definition.name == *name)
        {
            self.refuse(ErrorCode::ValidationFailed, span, || {
                format!("variable ${name} is not defined by the operation")
            });
        }
    }

    /// "Input Object Field Uniqueness", which the validator does not check.
    fn check_unique(&mut self, fields: &[(Name, Node<Literal>)]) {
        let mut seen = HashSet::default();
        for (name, value) in fields {
            if !seen.insert(name) {
                self.refuse(
                    ErrorCode::ValidationFailed,
                    name.location().or(value.location()),
                    || format!("the field {name} is given twice in one object"),
                );
            }
        }
    }
}
