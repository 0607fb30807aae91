//! A GraphQL request as it comes off a transport.

use thalweg_model::{ErrorCode, Kind, Value};

use crate::failure::Failure;

/// What a client asks for: the members of a GraphQL-over-HTTP request.
///
/// Variables and extensions are kept as JSON in stored form, so a number reaches a document with the digits that the
/// client sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The operation's text.
    pub query: Option<String>,
    /// The id of a text that is known here; `extensions.persistedQuery` has precedence.
    pub document_id: Option<String>,
    /// Which operation of the text to run, when it has several.
    pub operation_name: Option<String>,
    /// The values of the variables: a JSON object.
    pub variables: Option<Value>,
    /// What goes beyond the specification: a JSON object.
    pub extensions: Option<Value>,
}

impl Request {
    /// A request that is only text.
    pub fn text(query: impl Into<String>) -> Self {
        Request {
            query: Some(query.into()),
            ..Request::default()
        }
    }

    /// Reads the JSON text of `variables` or `extensions`; null is none.
    pub fn object_from_json(name: &str, json: &[u8]) -> Result<Option<Value>, Failure> {
        let value = Value::parse(json).map_err(|error| {
            Failure::new(
                ErrorCode::BadRequest,
                format!("{name} is not valid JSON: {error}"),
            )
        })?;
        match value.as_ref().kind() {
            Kind::Object => Ok(Some(value)),
            Kind::Null => Ok(None),
            _ => Err(Failure::new(
                ErrorCode::BadRequest,
                format!("\"{name}\" must be a JSON object or null"),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
