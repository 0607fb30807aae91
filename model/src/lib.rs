//! What a document *is*, for every other crate: values and their stored form, ids, field paths,
//! timestamps, the order-preserving key encoding, patches, and the classes of errors.
//!
//! Invariants that hold throughout:
//!
//! - A [`Value`] is canonical: one JSON text per value but for number notation and member order,
//!   without white space, without duplicate names.
//! - One order for all values ([`ValueRef::compare`]); [`key`] encodes it so that comparing encoded
//!   bytes gives the same answer.
//! - Nothing here panics on input, corrupt stored bytes included, and nothing here does I/O, reads a
//!   clock or draws a random number.
//!
//! | module | holds |
//! |---|---|
//! | `parse` | JSON text to stored form: checks, canonicalises and finds the offsets in one pass |
//! | `stored` | the layout of the stored form, and its header checks |
//! | `value`, `access`, `document` | the types that read it |
//! | `compare`, `decimal` | the order of values, exact for numbers |
//! | `json` | the text of strings: escaping and unescaping; errors of the parser |
//! | [`key`] | values and tuples as keys |
//! | [`edit`] | patches applied to documents |
//! | `sum`, [`calendar`] | sums of numbers, exact; spans of the calendar |
//! | [`timestamp`], `id`, `path`, `error` | the small vocabulary |
//!
//! Not here: types and shapes (`schema-infer`), revisions and system fields (`engine`).

mod access;
pub mod calendar;
mod compare;
mod decimal;
mod document;
pub mod edit;
mod error;
mod id;
mod json;
pub mod key;
mod parse;
mod path;
#[cfg(test)]
mod samples;
mod stored;
mod sum;
pub mod timestamp;
mod value;

pub use access::{FieldName, Items, Label, LabelledMembers, Member, MemberRun, Members};
pub use calendar::TimeUnit;
pub use document::{Document, NotAnObject};
pub use edit::{Patch, PatchError, PatchOperation, apply};
pub use error::{ErrorClass, ErrorCode};
pub use id::{CollectionId, DocumentId, IdError};
pub use json::{JsonError, JsonErrorReason, write_json_string};
pub use key::{
    KeyReader, KeyWriter, encode_value, encode_value_descending, prefix_end, value_key_len,
    value_key_len_descending,
};
pub use parse::{DEPTH_MAX, TEXT_BYTES_MAX};
pub use path::FieldPath;
pub use stored::CorruptValue;
pub use sum::{FloatSum, IntegerSum};
pub use timestamp::{CommitTs, InvalidCommitTs, is_date, parse_rfc3339, write_rfc3339};
pub use value::{Kind, Value, ValueRef};
