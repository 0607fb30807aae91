//! `GET /live`: the live queries that there are, what each costs, and what wakes it.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::api::{Api, LiveListing, LiveRank};
use crate::error::HttpError;
use crate::router::Shared;

/// The most that are listed.
const FIRST_MAX: usize = 1_000;

/// `GET /live?first=&by=`
pub(crate) async fn get<A: Api>(
    State(shared): State<Arc<Shared<A>>>,
    RawQuery(query): RawQuery,
) -> Result<Response, HttpError> {
    let listing = listing(&query.unwrap_or_default())?;
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        ),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, shared.api.live_queries(listing)).into_response())
}

fn listing(query: &str) -> Result<LiveListing, HttpError> {
    let mut listing = LiveListing::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "first" => listing.first = first(&value)?,
            "by" => listing.by = rank(&value)?,
            _ => {
                return Err(HttpError::bad_request(format!(
                    "`{name}` is not a parameter of the list of live queries; there are `first` and `by`"
                )));
            }
        }
    }
    Ok(listing)
}

fn first(value: &str) -> Result<usize, HttpError> {
    match value.parse() {
        Ok(first) if first <= FIRST_MAX => Ok(first),
        _ => Err(HttpError::bad_request(format!(
            "`first` is `{value}`; it must be a number from 0 to {FIRST_MAX}"
        ))),
    }
}

fn rank(value: &str) -> Result<LiveRank, HttpError> {
    match value {
        "subscribers" => Ok(LiveRank::Subscribers),
        "cost" => Ok(LiveRank::Cost),
        _ => Err(HttpError::bad_request(format!(
            "`by` is `{value}`; it must be `subscribers` or `cost`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read() {
        let listing = |query| super::listing(query).expect("fine");
        assert_eq!(listing(""), LiveListing::default());
        assert_eq!(listing("").first, 100);
        let read = listing("first=1000&by=cost");
        assert_eq!((read.first, read.by), (1000, LiveRank::Cost));
        assert_eq!(listing("by=subscribers").by, LiveRank::Subscribers);
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for query in [
            "first=1001",
            "first=-1",
            "first=",
            "first=x",
            "by=",
            "by=Cost",
            "last=1",
        ] {
            assert!(listing(query).is_err(), "{query}");
        }
    }
}
