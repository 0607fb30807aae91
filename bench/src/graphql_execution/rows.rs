//! The documents of this benchmark as Rust values, and `serde_json` as the peer that writes them.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::documents;

/// The ten fields of a document that are asked for, in the order of the query.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) customer: String,
    pub(super) city: String,
    pub(super) country: String,
    pub(super) status: String,
    pub(super) total: f64,
    pub(super) currency: String,
    pub(super) sku: String,
    pub(super) quantity: i64,
    pub(super) gift_wrapped: bool,
}

/// What everybody answers, or the same in the types of their API.
pub(super) const QUERY: &str = "query Page { orders(first: 1000) { nodes { id customer city country \
                                status total currency sku quantity giftWrapped } } }";

/// The first `count` documents.
pub(super) fn generate(count: u64) -> Result<Vec<Row>> {
    (0..count)
        .map(|index| Ok(serde_json::from_str(&documents::json(index))?))
        .collect()
}

#[derive(Serialize)]
struct Response<'a> {
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    orders: Connection<'a>,
}

#[derive(Serialize)]
struct Connection<'a> {
    nodes: &'a [Row],
}

/// The response, written from the values.
pub(super) fn write(nodes: &[Row]) -> Result<Vec<u8>> {
    let response = Response {
        data: Data {
            orders: Connection { nodes },
        },
    };
    Ok(serde_json::to_vec(&response)?)
}
