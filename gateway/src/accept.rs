//! Content negotiation: which media type an `Accept` header asks for.
//!
//! Pure. GraphQL over HTTP wants the type of highest priority that is supported, `*/*` and a missing header
//! mean `application/json`, and whatever streams must be asked for by name, so that a client which accepts
//! anything is never surprised by a response that does not end.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// A media type that `/graphql` can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/json`: 200 for every well-formed request.
    Json,
    /// `application/graphql-response+json`: the status says whether the request failed.
    GraphqlResponse,
    /// `text/event-stream`.
    EventStream,
}

impl MediaType {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::EventStream => "text/event-stream; charset=utf-8",
        }
    }
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The type for a single result; `None` when nothing that is listed can be served.
    pub(crate) single: Option<MediaType>,
    /// Whether `text/event-stream` is listed.
    pub(crate) events: bool,
    /// Whether `text/html` is listed: a person has opened the address in a browser.
    pub(crate) page: bool,
}

/// Reads every `Accept` header of a request.
pub(crate) fn accepted(headers: &HeaderMap) -> Accepted {
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    negotiate(&values.join(","))
}

struct Range<'a> {
    /// Type and subtype, as sent.
    name: &'a str,
    /// Quality in thousandths.
    quality: u16,
    /// Whether the charset parameter, if any, is UTF-8.
    utf8: bool,
}

fn negotiate(header: &str) -> Accepted {
    let mut ranges: Vec<Range<'_>> = header
        .split(',')
        .filter(|part| !part.trim().is_empty())
        .map(range)
        .collect();
    if ranges.is_empty() {
        return Accepted {
            single: Some(MediaType::Json),
            events: false,
            page: false,
        };
    }
    // Stable: types of one quality stay in the order in which they were listed.
    ranges.sort_by_key(|range| std::cmp::Reverse(range.quality));
    let refused = |name: &str| {
        ranges
            .iter()
            .any(|range| range.quality == 0 && range.name.eq_ignore_ascii_case(name))
    };
    let usable = || {
        ranges
            .iter()
            .filter(|range| range.quality > 0 && range.utf8)
    };
    let listed = |name: &str| usable().any(|range| range.name.eq_ignore_ascii_case(name));
    let single = usable().find_map(|range| {
        let name = range.name.to_ascii_lowercase();
        match name.as_str() {
            "application/json" => Some(MediaType::Json),
            "application/graphql-response+json" => Some(MediaType::GraphqlResponse),
            "text/event-stream" => Some(MediaType::EventStream),
            "*/*" | "application/*" => {
                if !refused("application/json") {
                    Some(MediaType::Json)
                } else if !refused("application/graphql-response+json") {
                    Some(MediaType::GraphqlResponse)
                } else {
                    None
                }
            }
            _ => None,
        }
    });
    Accepted {
        single,
        events: listed("text/event-stream"),
        page: listed("text/html"),
    }
}

fn range(part: &str) -> Range<'_> {
    let mut pieces = part.split(';').map(str::trim);
    let name = pieces.next().unwrap_or_default();
    let mut range = Range {
        name,
        quality: 1_000,
        utf8: true,
    };
    for parameter in pieces {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match key.trim() {
            key if key.eq_ignore_ascii_case("q") => range.quality = quality(value),
            key if key.eq_ignore_ascii_case("charset") => range.utf8 = is_utf8(value),
            _ => {}
        }
    }
    range
}

/// A `q` value in thousandths; one that is not a number counts as 1.
fn quality(text: &str) -> u16 {
    match text.parse::<f32>() {
        // The clamp keeps the product within 0 to 1,000.
        Ok(quality) if quality.is_finite() => (quality.clamp(0.0, 1.0) * 1_000.0) as u16,
        _ => 1_000,
    }
}

fn is_utf8(charset: &str) -> bool {
    charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
}

/// A `Content-Type` header taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentType {
    /// Type and subtype in lower case.
    pub(crate) name: String,
    /// Whether the charset parameter, if any, is UTF-8.
    pub(crate) utf8: bool,
}

/// Reads a `Content-Type` header's value.
pub(crate) fn content_type(value: &str) -> ContentType {
    let range = range(value);
    ContentType {
        name: range.name.to_ascii_lowercase(),
        utf8: range.utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(header: &str) -> Option<MediaType> {
        negotiate(header).single
    }

    #[test]
    fn the_first_supported_type_of_the_highest_quality_wins() {
        use MediaType::{EventStream, GraphqlResponse, Json};
        let table = [
            ("", Some(Json)),
            (" , ", Some(Json)),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("Application/JSON; Charset=\"UTF-8\"", Some(Json)),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            (
                "application/graphql-response+json, application/json",
                Some(GraphqlResponse),
            ),
            (
                "application/json, application/graphql-response+json",
                Some(Json),
            ),
            (
                "application/json;q=0.9, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
            ("text/html, */*;q=0.8", Some(Json)),
            ("*/*, application/json;q=0", Some(GraphqlResponse)),
            ("*/*;q=0", None),
            ("text/event-stream", Some(EventStream)),
            ("application/json, text/event-stream", Some(Json)),
            ("application/json;charset=utf-16", None),
            ("application/json;charset=utf-16, */*;q=0.1", Some(Json)),
            ("text/html", None),
            ("multipart/mixed", None),
            ("application/json;q=nonsense", Some(Json)),
        ];
        for (header, expected) in table {
            assert_eq!(single(header), expected, "{header}");
        }
    }

    #[test]
    fn streams_are_only_served_when_named() {
        assert!(!negotiate("*/*").events);
        assert!(!negotiate("text/*").events);
        assert!(!negotiate("text/event-stream;q=0").events);
        assert!(negotiate("application/json, text/event-stream;q=0.1").events);
    }

    #[test]
    fn content_types_are_taken_apart() {
        let plain = content_type("application/json");
        assert_eq!(
            plain,
            ContentType {
                name: "application/json".into(),
                utf8: true
            }
        );
        assert!(content_type("Application/Json; charset=UTF-8").utf8);
        assert!(!content_type("application/json; charset=latin1").utf8);
        assert_eq!(content_type("").name, "");
    }
}
