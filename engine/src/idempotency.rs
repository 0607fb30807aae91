//! Idempotency keys: a client that repeats a request because it never saw the answer gets the first answer.
//!
//! The answer is stored in the commit that it tells of, so there is no moment at which one is durable without the
//! other. It is kept for [`EngineOptions::answers_kept`](crate::EngineOptions::answers_kept); the oldest are erased a
//! few at a time with the groups that follow. A transaction that was refused has written nothing, its answer included:
//! repeating it runs it anew.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;
use thalweg_model::{CommitTs, ErrorCode, prefix_end};
use thalweg_storage::{Direction, Snapshot as Reader, Write};

use crate::chunk;
use crate::error::{EngineError, TransactionError};
use crate::keyspace;

/// What names a request across its repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    text: Arc<str>,
    fingerprint: u64,
}

impl IdempotencyKey {
    /// Longest text, in bytes.
    pub const BYTES_MAX: usize = 200;

    /// `fingerprint` is of all that the request asks: a key that comes back with another one is refused.
    ///
    /// `None` where the text is empty, longer than [`IdempotencyKey::BYTES_MAX`], or has control characters.
    pub fn new(text: &str, fingerprint: u64) -> Option<Self> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        (fits && !text.chars().any(char::is_control)).then(|| IdempotencyKey {
            text: Arc::from(text),
            fingerprint,
        })
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.text
    }
}

/// What was answered under an idempotency key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstAnswer {
    fingerprint: u64,
    /// The commit that the answer tells of.
    pub commit_ts: CommitTs,
    /// The answer, as the transaction's caller made it.
    pub answer: Bytes,
}

/// `whole · fingerprint · commit_ts`
const HEAD_BYTES: usize = 1 + 8 + 8;

impl FirstAnswer {
    pub(crate) fn new(key: &IdempotencyKey, commit_ts: CommitTs, answer: Vec<u8>) -> Self {
        FirstAnswer {
            fingerprint: key.fingerprint,
            commit_ts,
            answer: answer.into(),
        }
    }

    /// Refuses a key that was used for something else.
    pub(crate) fn check(&self, key: &IdempotencyKey) -> Result<(), TransactionError> {
        if self.fingerprint == key.fingerprint {
            return Ok(());
        }
        Err(TransactionError::Refused {
            code: ErrorCode::BadRequest,
            message: format!(
                "the idempotency key {:?} was used for another request; a new request needs a new key",
                key.text
            ),
            part: 0,
        })
    }

    /// Appends what stores it.
    pub(crate) fn put(&self, key: &str, writes: &mut Vec<Write>) {
        let mut value = Vec::with_capacity(HEAD_BYTES + self.answer.len());
        value.push(chunk::WHOLE);
        value.extend_from_slice(&self.fingerprint.to_be_bytes());
        value.extend_from_slice(&self.commit_ts.as_micros().to_be_bytes());
        value.extend_from_slice(&self.answer);
        let version = self.commit_ts.as_micros();
        chunk::put(keyspace::answer(key), version, &value, writes);
        writes.push(Write::Put {
            key: keyspace::answer_time(self.commit_ts, key),
            value: vec![u8::from(chunk::is_long(value.len()))],
        });
    }
}

/// The stored answer of a key, unless it is from before `horizon`.
pub(crate) fn read(
    reader: &dyn Reader,
    key: &str,
    horizon: CommitTs,
) -> Result<Option<FirstAnswer>, EngineError> {
    let owner = keyspace::answer(key);
    let Some(stored) = reader.get(&owner)? else {
        return Ok(None);
    };
    let whole = chunk::resolve(reader, stored, || owner)?;
    let answer = decode(&whole).ok_or(EngineError::Corrupt {
        what: "idempotent answer",
    })?;
    Ok(Some(answer).filter(|answer| answer.commit_ts >= horizon))
}

pub(crate) fn decode(whole: &[u8]) -> Option<FirstAnswer> {
    let (head, answer) = whole.split_at_checked(HEAD_BYTES)?;
    let number = |at: usize| Some(u64::from_be_bytes(head.get(at..at + 8)?.try_into().ok()?));
    Some(FirstAnswer {
        fingerprint: number(1)?,
        commit_ts: CommitTs::from_micros(number(9)?),
        answer: Bytes::copy_from_slice(answer),
    })
}

/// How many answers are erased with one group, at least.
const TRIMMED_MIN: usize = 256;

/// Appends what erases the oldest answers from `from` on and before `horizon`: twice as many as the group brings, so that
/// they do not pile up. `is_used_again` tells of keys whose answer the reader does not show yet.
///
/// Returns the commit from which on there may be more to erase.
pub(crate) fn trim(
    reader: &dyn Reader,
    (from, horizon): (CommitTs, CommitTs),
    brought: usize,
    is_used_again: impl Fn(&str) -> bool,
    writes: &mut Vec<Write>,
) -> Result<CommitTs, EngineError> {
    let end = prefix_end(&keyspace::answer_times()).expect("a key does not consist of 0xff bytes");
    let trimmed_max = TRIMMED_MIN.max(brought * 2);
    let mut last = None;
    let mut old = Vec::new();
    reader.scan(
        Bound::Included(&keyspace::answer_times_from(from)),
        Bound::Excluded(&end),
        Direction::Forward,
        &mut |key, is_long| {
            let parsed = keyspace::parse_answer_time(key).ok();
            if let Some((ts, _)) = &parsed {
                // All of one commit go together, so that the cursor is a commit.
                if *ts >= horizon || (old.len() >= trimmed_max && last != Some(*ts)) {
                    return ControlFlow::Break(());
                }
                last = Some(*ts);
            }
            old.push((key.to_vec(), parsed, is_long.first() == Some(&1)));
            ControlFlow::Continue(())
        },
    )?;
    for (key, parsed, is_long) in old {
        writes.push(Write::Delete { key });
        let Some((ts, text)) = parsed else { continue };
        let owner = keyspace::answer(&text);
        if is_long {
            chunk::erase(&owner, ts.as_micros(), writes);
        }
        // The key may have been used again after its answer had expired.
        if !is_used_again(&text) && reader.get(&owner)?.is_some_and(|stored| is_of(&stored, ts)) {
            writes.push(Write::Delete { key: owner });
        }
    }
    Ok(last.map_or(from, CommitTs::next))
}

/// Whether a stored answer, or the reference to one in chunks, is of that commit.
fn is_of(stored: &[u8], ts: CommitTs) -> bool {
    match chunk::version(stored) {
        Some(version) => version == ts.as_micros(),
        None => decode(stored).is_some_and(|answer| answer.commit_ts == ts),
    }
}
