//! Values longer than a backend takes, cut into chunks.
//!
//! The chunks of a long value lie under keys made of its owner (the key that it was first put under) and a version,
//! and a short reference stands in its place. The reference of a document's image is moved from the current keyspace
//! to the history like any other value; its owner stays the document, its version the commit that wrote it.

use std::borrow::Cow;
use std::ops::{Bound, ControlFlow};

use thalweg_model::prefix_end;
use thalweg_storage::{Direction, Snapshot as Reader, VALUE_BYTES_MAX, Write};

use crate::error::EngineError;
use crate::keyspace;

/// The first byte of a value that is whole.
pub(crate) const WHOLE: u8 = 1;
/// The first byte of a reference to chunks.
const CHUNKED: u8 = 2;
/// `2 · length (u32) · version (u64)`
const REFERENCE_BYTES: usize = 1 + 4 + 8;
/// Leaves room for what the history puts before a value.
const WHOLE_BYTES_MAX: usize = VALUE_BYTES_MAX - 64;
/// Half of what a backend takes.
const CHUNK_BYTES: usize = VALUE_BYTES_MAX / 2;

/// Whether a value of that length is stored in chunks.
pub(crate) fn is_long(bytes: usize) -> bool {
    bytes > WHOLE_BYTES_MAX
}

/// What stands for `value` in the store: itself, or a reference to its chunks.
pub(crate) fn stored_form(value: &[u8], version: u64) -> Cow<'_, [u8]> {
    debug_assert_eq!(value.first(), Some(&WHOLE));
    if !is_long(value.len()) {
        return Cow::Borrowed(value);
    }
    let length = u32::try_from(value.len()).expect("a value is shorter than 4 GiB");
    let mut reference = Vec::with_capacity(REFERENCE_BYTES);
    reference.push(CHUNKED);
    reference.extend_from_slice(&length.to_be_bytes());
    reference.extend_from_slice(&version.to_be_bytes());
    Cow::Owned(reference)
}

/// Appends to `writes` what puts `value`, whose first byte must be [`WHOLE`], under `owner`.
pub(crate) fn put(owner: Vec<u8>, version: u64, value: &[u8], writes: &mut Vec<Write>) {
    put_chunks(&owner, version, value, writes);
    let value = stored_form(value, version).into_owned();
    writes.push(Write::Put { key: owner, value });
}

/// Appends to `writes` the chunks of `value`, if it is long, without what refers to them.
pub(crate) fn put_chunks(owner: &[u8], version: u64, value: &[u8], writes: &mut Vec<Write>) {
    if !is_long(value.len()) {
        return;
    }
    for (index, part) in value.chunks(CHUNK_BYTES).enumerate() {
        let mut key = keyspace::chunks(owner, version);
        let index = u32::try_from(index).expect("a value has fewer than 2^32 chunks");
        key.extend_from_slice(&index.to_be_bytes());
        writes.push(Write::Put {
            key,
            value: part.to_vec(),
        });
    }
}

/// Appends to `writes` what erases the chunks of one version of a value, if there are any.
pub(crate) fn erase(owner: &[u8], version: u64, writes: &mut Vec<Write>) {
    erase_prefix(keyspace::chunks(owner, version), writes);
}

/// Appends to `writes` what erases the chunks of every value whose owner begins with `owners`.
pub(crate) fn erase_all(owners: &[u8], writes: &mut Vec<Write>) {
    erase_prefix(keyspace::chunks_of_all(owners), writes);
}

fn erase_prefix(from: Vec<u8>, writes: &mut Vec<Write>) {
    let to = prefix_end(&from).expect("a chunk key does not consist of 0xff bytes");
    writes.push(Write::DeleteRange { from, to });
}

/// The length of the whole value behind a stored one, and whether it lies in chunks.
pub(crate) fn length(stored: &[u8]) -> (usize, bool) {
    match reference(stored) {
        Some((length, _)) => (length, true),
        None => (stored.len(), false),
    }
}

/// The version of a long value that a stored one refers to; `None` of a whole value.
pub(crate) fn version(stored: &[u8]) -> Option<u64> {
    reference(stored).map(|(_, version)| version)
}

/// The whole value behind a stored one. `owner` is asked for only where the value is long.
pub(crate) fn resolve<'s>(
    reader: &'s dyn Reader,
    stored: Cow<'s, [u8]>,
    owner: impl FnOnce() -> Vec<u8>,
) -> Result<Cow<'s, [u8]>, EngineError> {
    if stored.first() == Some(&WHOLE) {
        return Ok(stored);
    }
    let corrupt = EngineError::Corrupt { what: "long value" };
    let Some((length, version)) = reference(&stored) else {
        return Err(corrupt);
    };
    let mut whole = Vec::new();
    let prefix = keyspace::chunks(&owner(), version);
    let end = prefix_end(&prefix).expect("a chunk key does not consist of 0xff bytes");
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |_, part| {
            whole.extend_from_slice(&part);
            ControlFlow::Continue(())
        },
    )?;
    if whole.len() != length || whole.first() != Some(&WHOLE) {
        return Err(corrupt);
    }
    Ok(Cow::Owned(whole))
}

fn reference(stored: &[u8]) -> Option<(usize, u64)> {
    let bytes: &[u8; REFERENCE_BYTES] = stored.try_into().ok()?;
    if bytes[0] != CHUNKED {
        return None;
    }
    let length = u32::from_be_bytes(bytes[1..5].try_into().ok()?);
    let version = u64::from_be_bytes(bytes[5..13].try_into().ok()?);
    Some((length as usize, version))
}
