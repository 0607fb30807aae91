//! Answering with an error: one shape for every endpoint, and the status that goes with a code.

use std::borrow::Cow;

use axum::http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use thalweg_model::{ErrorCode, write_json_string};

use crate::accept::MediaType;
use crate::api::ApiError;

/// A refusal before, or instead of, an execution.
#[derive(Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    code: ErrorCode,
    message: Cow<'static, str>,
    allow: Option<&'static str>,
    close: bool,
    retry: bool,
}

impl HttpError {
    pub(crate) fn new(
        status: StatusCode,
        code: ErrorCode,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            allow: None,
            close: false,
            retry: false,
        }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::BadRequest, message)
    }

    pub(crate) fn unsupported_media_type(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::BadRequest,
            message,
        )
    }

    pub(crate) fn not_acceptable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, ErrorCode::BadRequest, message)
    }

    pub(crate) fn method_not_allowed(
        allow: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                ErrorCode::BadRequest,
                message,
            )
        }
    }

    /// As much is under way as may be.
    pub(crate) fn overloaded(operations_max: usize) -> Self {
        Self {
            retry: true,
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                format!(
                    "{operations_max} operations are under way, which is the most; nothing was done, try again in a moment"
                ),
            )
        }
    }

    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::Internal,
            INTERNAL_MESSAGE,
        )
    }

    /// The connection must not be used again, because the rest of the request was not read.
    pub(crate) fn closing(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The response in a media type that the client accepts; errors are never sent as an event stream.
    pub(crate) fn into_response_as(self, media: MediaType) -> Response {
        let content_type = match media {
            MediaType::Json | MediaType::EventStream => "application/json; charset=utf-8",
            MediaType::GraphqlResponse => media.content_type(),
        };
        let mut body = b"{\"errors\":".to_vec();
        body.extend_from_slice(&errors_list(self.code, &self.message));
        body.push(b'}');
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.retry {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        self.into_response_as(MediaType::Json)
    }
}

impl From<ApiError> for HttpError {
    fn from(error: ApiError) -> Self {
        Self::new(status_of(error.code), error.code, error.message)
    }
}

/// What a client is told when something broke that is not its fault.
pub(crate) const INTERNAL_MESSAGE: &str =
    "the server failed while answering this request; its log says why";

/// The HTTP status of a failure with this code.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::ParseFailed
        | ErrorCode::ValidationFailed
        | ErrorCode::SchemaViolation
        | ErrorCode::LimitExceeded
        | ErrorCode::PersistedQueryNotFound
        | ErrorCode::PersistedQueryNotSupported => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::HistoryGone => StatusCode::GONE,
        ErrorCode::UniqueViolation
        | ErrorCode::SchemaChanged
        | ErrorCode::TypeDrift
        | ErrorCode::VersionMismatch => StatusCode::CONFLICT,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Unavailable | ErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Indeterminate | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A JSON list of one GraphQL error.
pub(crate) fn errors_list(code: ErrorCode, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    out.extend_from_slice(b"[{\"message\":");
    write_json_string(message, &mut out);
    out.extend_from_slice(b",\"extensions\":{\"code\":");
    write_json_string(code.as_str(), &mut out);
    out.extend_from_slice(b"}}]");
    out
}
