//! Ids for documents that come without one: UUIDv7 (RFC 9562, section 5.7), which ascend with time.

use thalweg_model::{CommitTs, Document, DocumentId};
use uuid::Builder;

/// An id of a time. Its 74 free bits are the microseconds within the millisecond, `number`, and the lower half of `seed`.
pub(crate) fn made_id(ts: CommitTs, number: u32, seed: u64) -> DocumentId {
    let micros = ts.as_micros();
    let within = u16::try_from(micros % 1000).expect("below 1000");
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&within.to_be_bytes());
    // Version and variant overwrite the first four bits and two bits of the next part.
    bytes[2..6].copy_from_slice(&number.to_be_bytes());
    bytes[6..].copy_from_slice(&seed.to_be_bytes()[4..]);
    let id = Builder::from_unix_timestamp_millis(micros / 1000, &bytes).into_uuid();
    DocumentId::new(&id.to_string()).expect("a UUID is an id")
}

/// Whether a document says its own id.
pub(crate) fn has_own_id(document: &Document) -> bool {
    let id = document.root().get("id");
    id.and_then(DocumentId::from_value).is_some()
}
