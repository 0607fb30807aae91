//! A GraphQL request as it comes off a transport.

use thalweg_model::{ErrorCode, Kind, Value, ValueRef};

use crate::failure::Failure;

/// What a client asks for: the members of a GraphQL-over-HTTP request.
///
/// Variables and extensions are kept as JSON in stored form, so a number reaches a document with the digits that the
/// client sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The operation's text.
    pub query: Option<String>,
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

    /// Reads the JSON object that a POST body or a `subscribe` payload is.
    ///
    /// Unknown members are ignored, as GraphQL over HTTP asks. A member of the wrong kind is
    /// [`ErrorCode::BadRequest`].
    ///
    /// ```
    /// use thalweg_resolvers::Request;
    /// let request = Request::from_json(br#"{"query": "{ __typename }", "variables": {"a": 1.50}}"#)?;
    /// assert_eq!(request.query.as_deref(), Some("{ __typename }"));
    /// # Ok::<(), thalweg_resolvers::Failure>(())
    /// ```
    pub fn from_json(json: &[u8]) -> Result<Self, Failure> {
        let body = Value::parse(json).map_err(|error| {
            Failure::new(
                ErrorCode::BadRequest,
                format!("the request is not valid JSON: {error}"),
            )
        })?;
        Request::from_value(body.as_ref())
    }

    /// The same for JSON that has been read already.
    pub fn from_value(body: ValueRef<'_>) -> Result<Self, Failure> {
        if body.kind() != Kind::Object {
            return Err(Failure::new(
                ErrorCode::BadRequest,
                "the request must be a JSON object with a member \"query\"; batches are not supported",
            ));
        }
        Ok(Request {
            query: text_member(body, "query")?,
            operation_name: text_member(body, "operationName")?,
            variables: object_member(body, "variables")?,
            extensions: object_member(body, "extensions")?,
        })
    }

    /// Reads the JSON text of `variables` or `extensions` from a query string.
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
            _ => Err(not_an_object(name)),
        }
    }
}

fn text_member(body: ValueRef<'_>, name: &str) -> Result<Option<String>, Failure> {
    match body.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(Failure::new(
                ErrorCode::BadRequest,
                format!("\"{name}\" must be a string or null"),
            )),
        },
    }
}

fn object_member(body: ValueRef<'_>, name: &str) -> Result<Option<Value>, Failure> {
    match body.get(name) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) if value.kind() == Kind::Object => Ok(Some(value.to_value())),
        Some(_) => Err(not_an_object(name)),
    }
}

fn not_an_object(name: &str) -> Failure {
    Failure::new(
        ErrorCode::BadRequest,
        format!("\"{name}\" must be a JSON object or null"),
    )
}

#[cfg(test)]
mod tests;
