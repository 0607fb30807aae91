//! A blocking HTTP/1.1 client of a running Thalweg server, as narrow as the tools need.
//!
//! Bodies are streamed both ways, so memory does not grow with the data. Redirects are not followed
//! and proxies are not used: the URL names the server, and nothing else is spoken to. There is no
//! TLS in this build; an `https` URL is refused when the command line is parsed.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::Response as HttpResponse;
use ureq::{Agent, Body, SendBody, Timeout};

/// How long to wait for a connection; what follows is as slow as the work is large.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Reports, error bodies and schemas are read whole, up to this size.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Of an error body that is not what a Thalweg server sends, this much is shown.
const FOREIGN_BODY_CHARS_MAX: usize = 300;

const PATH_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The address of a server: `http://HOST[:PORT][/PREFIX]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUrl(String);

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("expected a URL, such as http://127.0.0.1:4000".to_owned());
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => {
                return Err(
                    "https is not in this build; use http, or a tunnel to the server".into(),
                );
            }
            _ => return Err(format!("`{scheme}` is not http")),
        }
        let valid = format!("http://{rest}")
            .parse::<ureq::http::Uri>()
            .is_ok_and(|uri| {
                uri.query().is_none() && uri.host().is_some_and(|host| !host.is_empty())
            });
        if !valid || rest.contains(['#', '@']) {
            return Err("expected http://HOST:PORT without user, query or fragment".to_owned());
        }
        Ok(ServerUrl(format!("http://{}", rest.trim_end_matches('/'))))
    }
}

/// Why a request brought no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No connection: nothing was sent.
    #[error(
        "no server answers at {server} ({reason}); start one with `thalweg dev`, or name it with --server"
    )]
    Unreachable { server: ServerUrl, reason: String },
    /// The connection broke before the answer was complete: what was sent may have been done.
    #[error("the connection to {server} broke before the answer was complete: {reason}")]
    Interrupted { server: ServerUrl, reason: String },
    /// The server answered that it will not.
    #[error("the server refused ({status}{}): {message}", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        status: u16,
        code: Option<String>,
        message: String,
    },
    /// The answer is not what this version understands.
    #[error("{server} gave an answer that is not understood: {reason}")]
    NotUnderstood { server: ServerUrl, reason: String },
    /// The body to be sent could not be read.
    #[error("cannot read the input: {0}")]
    Input(#[source] io::Error),
}

/// A client of one server; keeps its connection between requests.
pub(crate) struct Client {
    agent: Agent,
    server: ServerUrl,
}

impl Client {
    pub(crate) fn new(server: &ServerUrl) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_MAX))
            .user_agent(concat!("thalweg/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Client {
            agent,
            server: server.clone(),
        }
    }

    /// A GET of the path made of `segments`; the answer has a success status.
    pub(crate) fn get(&self, segments: &[&str]) -> Result<Answer, ClientError> {
        let response = self.agent.get(self.url(segments, &[])).call();
        self.answer(response)?.succeeded()
    }

    /// A POST of `body`, streamed. The answer may have any status.
    pub(crate) fn post(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        content_type: &str,
        body: &mut dyn Read,
    ) -> Result<Answer, ClientError> {
        let mut body = Tracked {
            body,
            failure: RefCell::new(None),
        };
        let response = self
            .agent
            .post(self.url(segments, query))
            .header("content-type", content_type)
            .header("accept", "application/json")
            .send(SendBody::from_reader(&mut body));
        match body.failure.into_inner() {
            Some(failure) => Err(ClientError::Input(failure)),
            None => self.answer(response),
        }
    }

    /// Runs a GraphQL operation and gives its `data`.
    pub(crate) fn query<T: DeserializeOwned>(&self, operation: &str) -> Result<T, ClientError> {
        self.run(&serde_json::json!({ "query": operation }))
    }

    /// Runs a GraphQL operation with variables and gives its `data`.
    pub(crate) fn query_with<T: DeserializeOwned>(
        &self,
        operation: &str,
        variables: &serde_json::Value,
    ) -> Result<T, ClientError> {
        self.run(&serde_json::json!({ "query": operation, "variables": variables }))
    }

    fn run<T: DeserializeOwned>(&self, request: &serde_json::Value) -> Result<T, ClientError> {
        let request = request.to_string();
        let answer = self.post(
            &["graphql"],
            &[],
            "application/json",
            &mut request.as_bytes(),
        )?;
        let envelope: Envelope<T> = answer.succeeded()?.json()?;
        match (envelope.data, GraphqlError::together(envelope.errors)) {
            (_, Some(error)) => Err(error.refusal(200)),
            (Some(data), None) => Ok(data),
            (None, None) => Err(self.not_understood("it has neither data nor errors")),
        }
    }

    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> String {
        let mut url = self.server.0.clone();
        for segment in segments {
            url.push('/');
            url.extend(utf8_percent_encode(segment, PATH_SEGMENT));
        }
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, PATH_SEGMENT));
        }
        url
    }

    fn answer(
        &self,
        response: Result<HttpResponse<Body>, ureq::Error>,
    ) -> Result<Answer, ClientError> {
        match response {
            Ok(response) => Ok(Answer {
                response,
                server: self.server.clone(),
            }),
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn failure(&self, error: &ureq::Error) -> ClientError {
        let server = self.server.clone();
        let reason = error.to_string();
        match error {
            ureq::Error::Io(io) if io.kind() == io::ErrorKind::ConnectionRefused => {
                ClientError::Unreachable {
                    server,
                    reason: "connection refused".to_owned(),
                }
            }
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                ClientError::Unreachable { server, reason }
            }
            _ => ClientError::Interrupted { server, reason },
        }
    }

    fn not_understood(&self, reason: &str) -> ClientError {
        ClientError::NotUnderstood {
            server: self.server.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    response: HttpResponse<Body>,
    server: ServerUrl,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.response.status().is_success()
    }

    /// The answer, if its status says success; else what the server gave as the reason.
    pub(crate) fn succeeded(self) -> Result<Answer, ClientError> {
        if self.is_success() {
            return Ok(self);
        }
        let status = self.status();
        Err(refusal(status, &self.text()?))
    }

    /// The body as a stream. It fails, rather than ends, when the connection breaks.
    pub(crate) fn into_reader(self) -> impl Read {
        self.response.into_body().into_reader()
    }

    /// The whole body.
    pub(crate) fn text(mut self) -> Result<String, ClientError> {
        let body = self.response.body_mut().with_config().limit(TEXT_BYTES_MAX);
        body.read_to_string()
            .map_err(|error| ClientError::Interrupted {
                server: self.server.clone(),
                reason: error.to_string(),
            })
    }

    fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let server = self.server.clone();
        serde_json::from_str(&self.text()?).map_err(|error| ClientError::NotUnderstood {
            server,
            reason: error.to_string(),
        })
    }
}

/// Reads an error body: the GraphQL form that every endpoint uses, or whatever else came.
pub(crate) fn refusal(status: u16, body: &str) -> ClientError {
    if let Ok(Envelope { errors, .. }) = serde_json::from_str::<Envelope<serde_json::Value>>(body)
        && let Some(error) = GraphqlError::together(errors)
    {
        return error.refusal(status);
    }
    let mut message: String = body.trim().chars().take(FOREIGN_BODY_CHARS_MAX).collect();
    if message.is_empty() {
        message.push_str("no reason given");
    }
    ClientError::Refused {
        status,
        code: None,
        message,
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    #[serde(default = "Vec::new")]
    errors: Vec<GraphqlError>,
}

#[derive(Deserialize)]
struct GraphqlError {
    message: String,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Extensions {
    code: Option<String>,
}

impl GraphqlError {
    /// The first error with the messages of all, one on a line.
    fn together(errors: Vec<GraphqlError>) -> Option<GraphqlError> {
        errors.into_iter().reduce(|mut first, next| {
            first.message.push('\n');
            first.message.push_str(&next.message);
            first
        })
    }

    fn refusal(self, status: u16) -> ClientError {
        let code = self.extensions.and_then(|extensions| extensions.code);
        ClientError::Refused {
            status,
            code,
            message: self.message,
        }
    }
}

/// Remembers a failure to read, which the HTTP library reports like a broken connection.
struct Tracked<'a> {
    body: &'a mut dyn Read,
    failure: RefCell<Option<io::Error>>,
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer).map_err(|error| {
            let same = io::Error::new(error.kind(), error.to_string());
            *self.failure.get_mut() = Some(error);
            same
        })
    }
}

#[cfg(test)]
mod tests;
