//! `GET /changes`: the change stream over SSE.
//!
//! A change is an event without a name; the last one of a commit carries the commit as its `id`, so that a client that
//! comes back with `Last-Event-ID` gets whole commits. An event with an `id` and nothing else moves that point on. What
//! ends the stream is an event `failed`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use thalweg_model::{CommitTs, ErrorCode};

use crate::api::{Api, ApiError, ChangeItem, ChangesOptions};
use crate::error::{HttpError, INTERNAL_MESSAGE, errors_list};
use crate::execution::{Panicked, caught};
use crate::import::parameters::flag;
use crate::router::Shared;
use crate::sse::{self, Feed};

/// `GET /changes?since=&collections=&snapshot=`
pub(crate) async fn get<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let mut options = options(&query.unwrap_or_default())?;
    if let Some(last) = sse::last_event_id(&headers).map_err(HttpError::bad_request)? {
        // A client that comes back asks with the URL that it began with.
        options.since = Some(last);
        options.snapshot = false;
    }
    let changes = caught(shared.api.changes(options))
        .await
        .map_err(|Panicked| HttpError::internal())??;
    let feed = Feed::new(
        changes,
        shared.drain(),
        shared.options.keep_alive,
        sse::COMMENT,
        write_items,
    );
    Ok(sse::response(Body::from_stream(feed.into_chunks())))
}

fn options(query: &str) -> Result<ChangesOptions, HttpError> {
    let mut options = ChangesOptions::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "since" => options.since = Some(since(&value)?),
            "snapshot" => options.snapshot = flag("snapshot", &value)?,
            "collections" => {
                let names = options.collections.get_or_insert_default();
                names.extend(value.split(',').map(str::to_owned));
            }
            _ => {
                return Err(HttpError::bad_request(format!(
                    "`{name}` is not a parameter of the change stream; there are `since`, `collections` and \
                     `snapshot`"
                )));
            }
        }
    }
    Ok(options)
}

fn since(value: &str) -> Result<CommitTs, HttpError> {
    value.parse().map_err(|_| {
        HttpError::bad_request(format!(
            "`since` is `{value}`; it must be a commitTs: digits only"
        ))
    })
}

/// Writes what came next; returns whether the stream has ended.
fn write_items(
    came: Result<Option<Result<Vec<ChangeItem>, ApiError>>, Panicked>,
    out: &mut Vec<u8>,
) -> bool {
    let (code, message) = match came {
        Ok(Some(Ok(items))) => {
            for ChangeItem { json, resume_from } in items {
                match (json, resume_from) {
                    (Some(json), id) => sse::write_event(None, id, &json, out),
                    (None, Some(id)) => out.extend_from_slice(format!("id: {id}\n\n").as_bytes()),
                    (None, None) => {}
                }
            }
            return false;
        }
        Ok(Some(Err(error))) => (error.code, error.message),
        Ok(None) => return true,
        Err(Panicked) => (ErrorCode::Internal, INTERNAL_MESSAGE.to_owned()),
    };
    let errors = errors_list(code, &message);
    let body = [b"{\"errors\":", &*errors, b"}"].concat();
    sse::write_event(Some("failed"), None, &body, out);
    true
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn parameters_are_read() {
        let options = |query| super::options(query).expect("fine");
        assert_eq!(options(""), ChangesOptions::default());
        let read = options("since=17&collections=a,b%20c&snapshot=true&collections=d");
        assert_eq!(read.since, Some(CommitTs::from_micros(17)));
        assert_eq!(
            read.collections,
            Some(vec!["a".into(), "b c".into(), "d".into()])
        );
        assert!(read.snapshot);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, expected) in [
            ("since=", "digits only"),
            ("since=yesterday", "`since` is `yesterday`"),
            ("snapshot=1", "true or false"),
            ("collection=a", "`collection` is not a parameter"),
        ] {
            let error = options(query).expect_err("must be refused");
            assert!(error.message().contains(expected), "{}", error.message());
        }
    }

    #[test]
    fn only_what_can_be_resumed_from_has_an_id() {
        let item = |json: Option<&'static str>, at: Option<u64>| ChangeItem {
            json: json.map(Bytes::from),
            resume_from: at.map(CommitTs::from_micros),
        };
        let items = vec![
            item(Some("{1}"), None),
            item(Some("{2}"), Some(7)),
            item(None, Some(9)),
        ];
        let mut out = Vec::new();
        assert!(!write_items(Ok(Some(Ok(items))), &mut out));
        assert_eq!(out, b"data: {1}\n\nid: 7\ndata: {2}\n\nid: 9\n\n");
    }

    #[test]
    fn a_failure_is_told_and_ends_it() {
        let mut out = Vec::new();
        let failure = ApiError::new(ErrorCode::HistoryGone, "gone");
        assert!(write_items(Ok(Some(Err(failure))), &mut out));
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "event: failed\ndata: {\"errors\":[{\"message\":\"gone\",\"extensions\":{\"code\":\"HISTORY_GONE\"}}]}\n\n"
        );
    }
}
