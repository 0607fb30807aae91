//! Content negotiation: which media type an `Accept` header asks for.
//!
//! Pure. GraphQL over HTTP wants the type of highest priority that is supported, `*/*` and a missing header
//! mean `application/json`, and whatever streams must be asked for by name, so that a client which accepts
//! anything is never surprised by a response that does not end.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::api::PartsFormat;

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

/// What a client takes as `multipart/mixed`. Single results are never sent that way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Multipart {
    /// Queries in parts, in the format that it likes best.
    pub(crate) parts: Option<PartsFormat>,
    /// Live operations.
    pub(crate) live: bool,
}

/// What a client accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The type for a single result; `None` when nothing that is listed can be served.
    pub(crate) single: Option<MediaType>,
    /// Whether `text/event-stream` is listed.
    pub(crate) events: bool,
    /// What may be sent as `multipart/mixed`.
    pub(crate) multipart: Multipart,
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
    /// The parameter that says which multipart protocol is meant, where there is one.
    protocol: Option<(&'a str, &'a str)>,
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
            multipart: Multipart::default(),
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
    // What does not come in parts is sent to whoever takes only parts, too.
    let single = single.or_else(|| listed("multipart/mixed").then_some(MediaType::Json));
    let mut multipart = Multipart::default();
    for range in usable().filter(|range| range.name.eq_ignore_ascii_case("multipart/mixed")) {
        match range.protocol {
            None => {
                multipart.parts.get_or_insert(PartsFormat::Defer20220824);
            }
            Some((name, "20220824")) if name.eq_ignore_ascii_case("deferSpec") => {
                multipart.parts.get_or_insert(PartsFormat::Defer20220824);
            }
            Some((name, "v0.2")) if name.eq_ignore_ascii_case("incrementalSpec") => {
                multipart.parts.get_or_insert(PartsFormat::IncrementalV02);
            }
            Some((name, "1.0")) if name.eq_ignore_ascii_case("subscriptionSpec") => {
                multipart.live = true;
            }
            // A version of a protocol that is not spoken here.
            Some(_) => {}
        }
    }
    Accepted {
        single,
        multipart,
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
        protocol: None,
    };
    for parameter in pieces {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches('"');
        match key.trim() {
            key if key.eq_ignore_ascii_case("q") => range.quality = quality(value),
            key if key.eq_ignore_ascii_case("charset") => range.utf8 = is_utf8(value),
            key if is_protocol(key) => range.protocol = Some((key, value)),
            _ => {}
        }
    }
    range
}

fn is_protocol(parameter: &str) -> bool {
    ["deferSpec", "incrementalSpec", "subscriptionSpec"]
        .iter()
        .any(|known| parameter.eq_ignore_ascii_case(known))
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
            ("multipart/mixed", Some(Json)),
            (
                "multipart/mixed;deferSpec=20220824, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
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
    fn multipart_is_served_in_the_protocol_that_is_named() {
        use PartsFormat::{Defer20220824, IncrementalV02};
        for (header, parts, live) in [
            ("*/*", None, false),
            ("multipart/*", None, false),
            ("multipart/mixed", Some(Defer20220824), false),
            (
                "multipart/mixed; deferSpec=20220824",
                Some(Defer20220824),
                false,
            ),
            (
                "Multipart/Mixed;deferspec=\"20220824\"",
                Some(Defer20220824),
                false,
            ),
            (
                "multipart/mixed;incrementalSpec=v0.2",
                Some(IncrementalV02),
                false,
            ),
            ("multipart/mixed;deferSpec=20990101", None, false),
            ("multipart/mixed;q=0", None, false),
            (
                "multipart/mixed;q=0.1, multipart/mixed;incrementalSpec=v0.2;q=0.5",
                Some(IncrementalV02),
                false,
            ),
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=1.0, application/json",
                None,
                true,
            ),
        ] {
            let expected = Multipart { parts, live };
            assert_eq!(negotiate(header).multipart, expected, "{header}");
        }
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
