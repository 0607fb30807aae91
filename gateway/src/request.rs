//! From a JSON body or a URL's query to a [`GraphqlRequest`].
//!
//! Pure. It checks what GraphQL over HTTP calls a well-formed request: the parameters and their kinds.
//! Whether the document parses or the variables fit is the [`Api`](crate::Api)'s to say. Variables and
//! extensions stay text, since the resolvers read them into their own form anyway.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use thalweg_model::ErrorCode;

use crate::api::GraphqlRequest;
use crate::error::HttpError;

/// The parameters of a request by name, each as JSON text; `null` counts as absent.
#[derive(Deserialize)]
struct Parameters<'a> {
    #[serde(borrow, default)]
    query: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "documentId")]
    document_id: Option<&'a RawValue>,
    /// The name that older servers have for it.
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    /// And the one that Relay's own servers have.
    #[serde(borrow, default)]
    doc_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "operationName")]
    operation_name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    variables: Option<&'a RawValue>,
    #[serde(borrow, default)]
    extensions: Option<&'a RawValue>,
}

/// Reads the body of a POST, or the payload of a WebSocket's `subscribe`.
pub(crate) fn from_json(body: &[u8], query_bytes_max: usize) -> Result<GraphqlRequest, HttpError> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => {
            return Err(HttpError::bad_request(
                "the body is empty; send a JSON object such as {\"query\": \"{ __typename }\"}",
            ));
        }
        Some(b'[') => {
            return Err(HttpError::bad_request(
                "the request is a list; a batch of requests is taken as the body of a POST, and each request in it \
                 is an object",
            ));
        }
        Some(b'{') => {}
        Some(_) => {
            return Err(HttpError::bad_request(
                "the body is not a JSON object; send one such as {\"query\": \"{ __typename }\"}",
            ));
        }
    }
    let parameters: Parameters<'_> = serde_json::from_slice(body)
        .map_err(|error| HttpError::bad_request(format!("the body is not valid JSON: {error}")))?;
    let query = string("query", parameters.query)?;
    let mut document_id = string("documentId", parameters.document_id)?;
    if query.is_none() && document_id.is_none() {
        // Beside a text the two mean something else to whoever sends them.
        document_id = string("id", parameters.id)?;
        if document_id.is_none() {
            document_id = string("doc_id", parameters.doc_id)?;
        }
    }
    let request = GraphqlRequest {
        query,
        document_id,
        operation_name: string("operationName", parameters.operation_name)?
            .filter(|name| !name.is_empty()),
        variables: object("variables", parameters.variables)?,
        extensions: object("extensions", parameters.extensions)?,
        idempotency_key: None,
    };
    complete(request, query_bytes_max)
}

/// Reads the query component of a GET.
pub(crate) fn from_url(query: &str, query_bytes_max: usize) -> Result<GraphqlRequest, HttpError> {
    let mut request = GraphqlRequest::default();
    let mut other_id = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let repeated = match name.as_ref() {
            "query" => request.query.replace(value.into_owned()).is_some(),
            "documentId" => request.document_id.replace(value.into_owned()).is_some(),
            "id" | "doc_id" => other_id.replace(value.into_owned()).is_some(),
            "operationName" if value.is_empty() => false,
            "operationName" => request.operation_name.replace(value.into_owned()).is_some(),
            "variables" => put_url_object("variables", &value, &mut request.variables)?,
            "extensions" => put_url_object("extensions", &value, &mut request.extensions)?,
            _ => false,
        };
        if repeated {
            return Err(HttpError::bad_request(format!(
                "the parameter `{name}` is there twice; give it once"
            )));
        }
    }
    if request.query.is_none() && request.document_id.is_none() {
        request.document_id = other_id;
    }
    complete(request, query_bytes_max)
}

/// Puts a parameter's JSON text in its place; true when the place was taken.
fn put_url_object(
    name: &str,
    text: &str,
    place: &mut Option<Box<RawValue>>,
) -> Result<bool, HttpError> {
    if text.is_empty() {
        return Ok(false);
    }
    let value: Option<&RawValue> = serde_json::from_str(text).map_err(|error| {
        HttpError::bad_request(format!("the parameter `{name}` is not valid JSON: {error}"))
    })?;
    match object(name, value)? {
        Some(value) => Ok(place.replace(value).is_some()),
        None => Ok(false),
    }
}

fn complete(request: GraphqlRequest, query_bytes_max: usize) -> Result<GraphqlRequest, HttpError> {
    match &request.query {
        Some(query) if query.len() > query_bytes_max => Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::LimitExceeded,
            format!(
                "the query's text has {} bytes, {query_bytes_max} are the most; send data as variables",
                query.len()
            ),
        )),
        None if request.document_id.is_none() && !names_persisted_query(&request) => {
            Err(HttpError::bad_request(
                "the parameter `query` is missing; it holds the text of the GraphQL document, unless `documentId` or \
             `extensions.persistedQuery` names it",
            ))
        }
        _ => Ok(request),
    }
}

/// Whether the extensions carry `persistedQuery`, which stands for the query's text.
fn names_persisted_query(request: &GraphqlRequest) -> bool {
    #[derive(Deserialize)]
    struct Extensions<'a> {
        #[serde(borrow, default, rename = "persistedQuery")]
        persisted_query: Option<&'a RawValue>,
    }
    request.extensions.as_ref().is_some_and(|extensions| {
        serde_json::from_str::<Extensions<'_>>(extensions.get())
            .is_ok_and(|extensions| extensions.persisted_query.is_some())
    })
}

fn string(name: &str, value: Option<&RawValue>) -> Result<Option<String>, HttpError> {
    let Some(value) = value else { return Ok(None) };
    serde_json::from_str(value.get())
        .map(Some)
        .map_err(|_| wrong_kind(name, "a string", value))
}

fn object(name: &str, value: Option<&RawValue>) -> Result<Option<Box<RawValue>>, HttpError> {
    match value {
        None => Ok(None),
        Some(value) if value.get().starts_with('{') => Ok(Some(value.to_owned())),
        Some(value) => Err(wrong_kind(name, "an object", value)),
    }
}

fn wrong_kind(name: &str, expected: &str, found: &RawValue) -> HttpError {
    let found = match found.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string that is not valid Unicode",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    let found = if expected == "an object" && found.starts_with("a string") {
        "a string"
    } else {
        found
    };
    HttpError::bad_request(format!(
        "the parameter `{name}` must be {expected}, and is {found}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<GraphqlRequest, HttpError>) -> String {
        result.expect_err("must be refused").message().to_owned()
    }

    #[test]
    fn a_whole_request_is_read() {
        let request = from_json(
            br#" {"query":"{ a }","operationName":"A","variables":{"x":[1, 2]},"extensions":{},"other":1}"#,
            100,
        )
        .expect("well-formed");
        assert_eq!(request.query.as_deref(), Some("{ a }"));
        assert_eq!(request.operation_name.as_deref(), Some("A"));
        assert_eq!(request.variables.expect("there").get(), r#"{"x":[1, 2]}"#);
        assert_eq!(request.extensions.expect("there").get(), "{}");
    }

    #[test]
    fn null_and_the_empty_name_count_as_absent() {
        let request = from_json(
            br#"{"query":"{a}","operationName":"","variables":null,"extensions":null}"#,
            100,
        )
        .expect("well-formed");
        assert!(request.operation_name.is_none());
        assert!(request.variables.is_none() && request.extensions.is_none());
    }

    #[test]
    fn what_is_not_well_formed_is_named() {
        for (body, expected) in [
            ("", "the body is empty"),
            ("[{\"query\":\"{a}\"}]", "is a list"),
            ("\"{a}\"", "not a JSON object"),
            ("{\"query\":", "not valid JSON"),
            ("{\"qeury\":\"{a}\"}", "`query` is missing"),
            ("{\"query\":null}", "`query` is missing"),
            (
                "{\"query\":{}}",
                "`query` must be a string, and is an object",
            ),
            ("{\"query\":0}", "`query` must be a string, and is a number"),
            (
                "{\"query\":\"{a}\",\"operationName\":false}",
                "must be a string, and is a boolean",
            ),
            (
                "{\"query\":\"{a}\",\"variables\":[7]}",
                "must be an object, and is a list",
            ),
            (
                "{\"query\":\"{a}\",\"variables\":\"x\"}",
                "must be an object, and is a string",
            ),
            ("{\"query\":\"{a}\",\"query\":\"{b}\"}", "duplicate field"),
            ("{\"query\":\"0123456789a\"}", "11 bytes, 10 are the most"),
        ] {
            let message = message(from_json(body.as_bytes(), 10));
            assert!(message.contains(expected), "{body}: {message}");
        }
    }

    #[test]
    fn a_persisted_query_needs_no_text() {
        let body = br#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#;
        assert!(from_json(body, 100).expect("well-formed").query.is_none());
        assert!(message(from_json(br#"{"extensions":{}}"#, 100)).contains("`query` is missing"));
    }

    #[test]
    fn a_document_may_be_named() {
        for body in [
            r#"{"documentId":"sha256:00"}"#,
            r#"{"id":"sha256:00"}"#,
            r#"{"doc_id":"sha256:00","id":null}"#,
            r#"{"documentId":"sha256:00","id":7}"#,
        ] {
            let request = from_json(body.as_bytes(), 100).expect("well-formed");
            assert_eq!(request.document_id.as_deref(), Some("sha256:00"), "{body}");
        }
        for url in ["documentId=a", "id=a", "doc_id=a", "documentId=a&id=b"] {
            let request = from_url(url, 100).expect("well-formed");
            assert_eq!(request.document_id.as_deref(), Some("a"), "{url}");
        }
        // Beside a text an `id` is somebody else's.
        let request = from_json(br#"{"query":"{a}","id":7}"#, 100).expect("well-formed");
        assert_eq!(request.document_id, None);
        let request = from_url("query=a&id=b", 100).expect("well-formed");
        assert_eq!(request.document_id, None);
        let message = message(from_json(br#"{"documentId":7}"#, 100));
        assert!(message.contains("`documentId` must be a string"));
    }

    #[test]
    fn a_url_is_read() {
        let request = from_url(
            "query=query+Q(%24id%3A%20ID!)%7Ba%7D&variables=%7B%22id%22%3A%22x%22%7D&operationName=Q&x=1",
            100,
        )
        .expect("well-formed");
        assert_eq!(request.query.as_deref(), Some("query Q($id: ID!){a}"));
        assert_eq!(request.variables.expect("there").get(), r#"{"id":"x"}"#);
        assert_eq!(request.operation_name.as_deref(), Some("Q"));
        let request = from_url("query=a&operationName=&variables=&extensions=null", 9);
        assert!(request.expect("well-formed").operation_name.is_none());
        assert!(message(from_url("query=a&query=b", 9)).contains("twice"));
        assert!(message(from_url("query=a&variables=%7B", 9)).contains("not valid JSON"));
        assert!(message(from_url("query=a&variables=1", 9)).contains("must be an object"));
        assert!(message(from_url("", 9)).contains("`query` is missing"));
    }
}
