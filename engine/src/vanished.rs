//! Fields that no document has any more: who still uses them, and when they go.
//!
//! A deprecated field is kept for a grace period from when it vanished, or from when an operation last used it. Uses are
//! noted in memory ([`Engine::note_field_use`]) and stored now and then, as part of upkeep; what a crash loses of that
//! makes a field go an hour early at most. Only deprecated fields are noted, so both are bounded by what is published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thalweg_model::{CollectionId, CommitTs};
use thalweg_schema_infer::Evolution;
use thalweg_storage::{Snapshot as Reader, Write};

use crate::chunk;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::keyspace;
use crate::published_types::{TypesChange, Vanished, without};
use crate::snapshot::Snapshot;
use crate::upkeep::{Found, UpkeepWork};

/// Uses are stored this often at most.
const STORED_EVERY_MAX: Duration = Duration::from_secs(60 * 60);

/// When fields were last used, in microseconds since the Unix epoch, by the original names on the way to them.
pub(crate) type Uses = BTreeMap<Vec<Arc<str>>, u64>;

/// The uses of deprecated fields that may not be stored yet.
#[derive(Debug, Default)]
pub(crate) struct NotedUses {
    noted: Mutex<BTreeMap<CollectionId, Uses>>,
    /// How many operations that go on use a field.
    held: Mutex<BTreeMap<FieldUse, usize>>,
}

/// A field, by its collection and the original names on the way to it.
pub type FieldUse = (CollectionId, Arc<[Arc<str>]>);

/// The use of fields by an operation that goes on, a live query: they count as used until this is dropped.
pub struct HeldFields {
    fields: Box<[FieldUse]>,
    uses: Arc<NotedUses>,
}

impl HeldFields {
    /// The fields.
    pub fn fields(&self) -> &[FieldUse] {
        &self.fields
    }
}

impl Drop for HeldFields {
    fn drop(&mut self) {
        if self.fields.is_empty() {
            return;
        }
        let mut held = self.uses.held.lock();
        for field in &self.fields {
            if let Some(count) = held.get_mut(field) {
                *count -= 1;
                if *count == 0 {
                    held.remove(field);
                }
            }
        }
    }
}

impl Engine {
    /// Notes that an operation uses a field that no document has, so that it is kept. Cheap: it takes a lock and a
    /// lookup; nothing is written.
    pub fn note_field_use(&self, collection: CollectionId, path: &[Arc<str>]) {
        let now = self.now_micros();
        let mut noted = self.shared.uses.noted.lock();
        let uses = noted.entry(collection).or_default();
        match uses.get_mut(path) {
            Some(at) => *at = now.max(*at),
            None => {
                uses.insert(path.to_vec(), now);
            }
        }
    }

    /// Has fields that no document has count as used for as long as what this gives is kept.
    pub fn hold_fields(&self, fields: Box<[FieldUse]>) -> HeldFields {
        let uses = Arc::clone(&self.shared.uses);
        if !fields.is_empty() {
            let mut held = uses.held.lock();
            for field in &fields {
                *held.entry(field.clone()).or_default() += 1;
            }
        }
        HeldFields { fields, uses }
    }

    fn noted_uses(&self, collection: CollectionId, now: u64) -> Uses {
        let mut uses = {
            let noted = self.shared.uses.noted.lock();
            noted.get(&collection).cloned().unwrap_or_default()
        };
        let held = self.shared.uses.held.lock();
        for (of, path) in held.keys() {
            if *of == collection {
                uses.insert(path.to_vec(), now);
            }
        }
        uses
    }

    /// The next thing to do about fields that have vanished: to take away those whose time is over, or to store uses.
    pub(crate) fn find_vanished(
        &self,
        snapshot: &Snapshot,
        now: u64,
    ) -> Result<Found, EngineError> {
        if self.evolution() != Evolution::Additive {
            return Ok(Found::Nothing(None));
        }
        let kept = self.options().deprecated_kept;
        let kept_micros = micros(kept);
        let stored_every = micros(STORED_EVERY_MAX.min(kept / 8));
        let mut until: Option<u64> = None;
        let mut used = Vec::new();
        for collection in snapshot.catalog().collections() {
            let deprecated = collection.latched.deprecated();
            if deprecated.is_empty() {
                continue;
            }
            used.push(collection.id);
            let noted = self.noted_uses(collection.id, now);
            let stored = read_uses(snapshot.reader(), collection.id)?;
            let mut over = Vec::new();
            let mut uses = Uses::new();
            let mut has_news = false;
            for (path, deprecated) in deprecated {
                let of_then = stored.get(&path).copied().unwrap_or(0);
                let of_now = noted.get(&path).copied().unwrap_or(0).max(of_then);
                let last = of_now.max(deprecated.since.as_micros());
                let end = last.saturating_add(kept_micros);
                if end <= now {
                    over.push(Vanished {
                        path,
                        since: deprecated.since,
                    });
                    continue;
                }
                until = until.into_iter().chain([end]).min();
                if of_now > of_then {
                    let from = of_then.max(deprecated.since.as_micros());
                    let due = from.saturating_add(stored_every);
                    has_news |= due <= now;
                    until = until.into_iter().chain([due]).min();
                }
                if of_now > 0 {
                    uses.insert(path, of_now);
                }
            }
            // An emptied collection keeps what it has: nothing speaks against its fields. While an import runs, types
            // follow from those before it. And an object type keeps its last field. What would change nothing must not
            // be tried: it would be found again at once.
            let imports = &self.shared.published.imports;
            let dropped: Vec<&Vanished> = over.iter().collect();
            if !Arc::ptr_eq(&without(&collection.latched, &dropped), &collection.latched)
                && imports.settling(&collection.name).is_none()
                && snapshot.stored_count(collection.id)? > 0
            {
                let drop = TypesChange::Drop(collection.id, over);
                return Ok(Found::Work(vec![UpkeepWork::Types(drop)]));
            }
            if has_news {
                return Ok(Found::Work(vec![UpkeepWork::NoteUses {
                    collection: collection.id,
                    uses,
                }]));
            }
        }
        // What has documents again, or is gone, need not be remembered.
        let mut noted = self.shared.uses.noted.lock();
        noted.retain(|collection, _| used.contains(collection));
        Ok(Found::Nothing(until))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What stores the uses of a collection's fields, in place of those that are stored.
pub(crate) fn write_uses(collection: CollectionId, uses: &Uses, writes: &mut Vec<Write>) {
    let mut value = vec![chunk::WHOLE];
    for (path, at) in uses {
        value.extend_from_slice(&at.to_be_bytes());
        value.extend_from_slice(&length(path.len()));
        for name in path {
            value.extend_from_slice(&length(name.len()));
            value.extend_from_slice(name.as_bytes());
        }
    }
    let key = keyspace::uses(collection);
    chunk::erase(&key, 0, writes);
    chunk::put(key, 0, &value, writes);
}

fn length(length: usize) -> [u8; 4] {
    let length = u32::try_from(length).expect("a document is far below 4 GiB");
    length.to_be_bytes()
}

pub(crate) fn read_uses(
    reader: &dyn Reader,
    collection: CollectionId,
) -> Result<Uses, EngineError> {
    let key = keyspace::uses(collection);
    let Some(stored) = reader.get(&key)? else {
        return Ok(Uses::new());
    };
    let whole = chunk::resolve(reader, stored, || key)?;
    decode_uses(whole.get(1..).unwrap_or_default()).ok_or(EngineError::Corrupt {
        what: "uses of fields",
    })
}

fn decode_uses(mut bytes: &[u8]) -> Option<Uses> {
    let mut uses = Uses::new();
    while let Some((at, rest)) = bytes.split_first_chunk::<8>() {
        let (names, mut rest) = rest.split_first_chunk::<4>()?;
        let mut path = Vec::new();
        for _ in 0..u32::from_be_bytes(*names) {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (name, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            path.push(Arc::from(std::str::from_utf8(name).ok()?));
            rest = after;
        }
        uses.insert(path, u64::from_be_bytes(*at));
        bytes = rest;
    }
    bytes.is_empty().then_some(uses)
}

/// Whether the newest of the uses is of a commit that is there; for `verify`.
pub(crate) fn newest(uses: &Uses) -> CommitTs {
    CommitTs::from_micros(uses.values().copied().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_uses_are_read_again() {
        let path = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let uses = Uses::from([(path(&["a"]), 7), (path(&["b", "c d", ""]), u64::MAX)]);
        let mut writes = Vec::new();
        write_uses(CollectionId(16), &uses, &mut writes);
        let Some(Write::Put { value, .. }) = writes.last() else {
            panic!("nothing is put");
        };
        assert_eq!(decode_uses(&value[1..]), Some(uses));
        for end in 1..value.len() - 1 {
            let cut = decode_uses(&value[1..=end]);
            assert!(cut.is_none_or(|cut| cut.len() < 2), "{end} bytes");
        }
    }
}
