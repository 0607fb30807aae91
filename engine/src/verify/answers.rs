//! Answers under idempotency keys: each is found again by its key and by its time.

use super::{FindingKind, Store, name};
use crate::error::EngineError;
use crate::idempotency;
use crate::keyspace::{self, Keyspace};

pub(super) fn check(store: &mut Store<'_>) -> Result<(), EngineError> {
    let kind = FindingKind::Answer;
    store.scan(Keyspace::Answer, &mut |store, key, stored| {
        let Ok(text) = keyspace::parse_answer(key) else {
            store.find(FindingKind::Key, name(key), "it is no key of an answer");
            return Ok(());
        };
        let place = format!("idempotency key {text:?}");
        let Some(whole) = store.whole(kind, &place, stored, key)? else {
            return Ok(());
        };
        let Some(answer) = idempotency::decode(&whole) else {
            store.find(kind, &place, "its answer cannot be read");
            return Ok(());
        };
        if answer.commit_ts > store.head.commit_ts {
            store.find(kind, &place, "its answer is newer than the newest commit");
        }
        let time = keyspace::answer_time(answer.commit_ts, &text);
        if store.reader.get(&time)?.is_none() {
            store.find(kind, &place, "its answer would never be erased");
        }
        Ok(())
    })?;
    store.scan(Keyspace::AnswerTime, &mut |store, key, _| {
        let Ok((ts, text)) = keyspace::parse_answer_time(key) else {
            store.find(FindingKind::Key, name(key), "it is no time of an answer");
            return Ok(());
        };
        // The key may have been used again after its first answer had expired, so a later answer will do.
        let owner = keyspace::answer(&text);
        if store.reader.get(&owner)?.is_none() {
            let place = format!("idempotency key {text:?}");
            store.find(kind, place, format!("its answer of {ts} is missing"));
        }
        Ok(())
    })
}
