//! What a request asks beyond the specification, in its `extensions`.

use thalweg_model::{ErrorCode, Kind, ValueRef};

use crate::failure::Failure;
use crate::request::Request;

/// The members of a request's `extensions` that mean something here; others are other people's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `thalweg.idempotencyKey`: the name of a mutation across its repetitions.
    pub idempotency_key: Option<String>,
    /// `thalweg.explain`, or `explain`: tell how each list was found.
    pub explain: bool,
}

impl Extensions {
    /// Reads them. Fails with [`ErrorCode::BadRequest`] where one is of the wrong kind; null counts as absent.
    pub fn of(request: &Request) -> Result<Extensions, Failure> {
        let Some(all) = request.extensions.as_ref() else {
            return Ok(Extensions::default());
        };
        let all = all.as_ref();
        let mut read = Extensions {
            idempotency_key: None,
            explain: flag("extensions.explain", all.get("explain"))?,
        };
        let Some(ours) = all.get("thalweg") else {
            return Ok(read);
        };
        read.explain |= flag("extensions.thalweg.explain", ours.get("explain"))?;
        let key = ours.get("idempotencyKey");
        if let Some(key) = key.filter(|key| key.kind() != Kind::Null) {
            let text = key
                .as_str()
                .ok_or_else(|| wrong_kind("extensions.thalweg.idempotencyKey", "a string"))?;
            read.idempotency_key = Some(text.into_owned());
        }
        Ok(read)
    }
}

fn flag(name: &str, value: Option<ValueRef<'_>>) -> Result<bool, Failure> {
    match value.map(|value| (value.kind(), value.json())) {
        None | Some((Kind::Null, _) | (_, b"false")) => Ok(false),
        Some((_, b"true")) => Ok(true),
        Some(_) => Err(wrong_kind(name, "true or false")),
    }
}

fn wrong_kind(name: &str, expected: &str) -> Failure {
    Failure::new(ErrorCode::BadRequest, format!("{name} must be {expected}"))
}
