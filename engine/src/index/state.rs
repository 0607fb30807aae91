//! An index in the catalog: its number and status, how both are stored, and what is counted of its rows.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thalweg_model::{CommitTs, DocumentId, FieldPath, ValueRef, prefix_end, write_json_string};
use thalweg_storage::{Direction, Snapshot as Reader};

use super::definition::IndexDefinition;
use crate::error::EngineError;
use crate::keyspace;

/// The number of an index: given once, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexId(pub u32);

/// An index of a collection, as of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its number.
    pub id: IndexId,
    /// What it is made of.
    pub definition: IndexDefinition,
    /// Whether the database made it by itself, for a relation.
    pub automatic: bool,
    /// What it is good for.
    pub status: IndexStatus,
    /// The commit that created it. It knows nothing of earlier states.
    pub since: CommitTs,
    /// The commit that gave it its status.
    pub changed_at: CommitTs,
    /// Whether a failed one has no rows any more.
    pub(crate) erased: bool,
}

/// Where an index is in its life.
///
/// `Building → Ready` when every document has its rows, `Building → Failed` when one cannot have them; any of them
/// `→ Dropping` when it is dropped, after which it leaves the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexStatus {
    /// Every commit maintains it, but it lacks rows of older documents.
    Building,
    /// It has all rows.
    Ready,
    /// It could not be built, and is not maintained.
    Failed {
        /// Why, and of which documents.
        reason: Arc<str>,
    },
    /// Its rows are being removed.
    Dropping,
}

impl IndexStatus {
    fn name(&self) -> &'static str {
        match self {
            IndexStatus::Building => "BUILDING",
            IndexStatus::Ready => "READY",
            IndexStatus::Failed { .. } => "FAILED",
            IndexStatus::Dropping => "DROPPING",
        }
    }
}

impl Index {
    /// Whether commits write its rows.
    pub(crate) fn is_maintained(&self) -> bool {
        matches!(self.status, IndexStatus::Building | IndexStatus::Ready)
    }

    /// Whether a find at that time (of the newest state where there is none) may use it, in a store that includes all
    /// commits up to `stored`.
    pub(crate) fn serves(&self, at: Option<CommitTs>, stored: CommitTs) -> bool {
        self.status == IndexStatus::Ready
            && self.changed_at <= stored
            && at.is_none_or(|at| at >= self.since)
    }

    /// Whether there is background work to do for it.
    pub(crate) fn needs_work(&self) -> bool {
        match self.status {
            IndexStatus::Ready => false,
            IndexStatus::Failed { .. } => !self.erased,
            IndexStatus::Building | IndexStatus::Dropping => true,
        }
    }

    /// Appends what is stored of it in its collection's document.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"id\":{},\"fields\":[", self.id.0).as_bytes());
        for (position, field) in self.definition.field_texts().iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_json_string(field, out);
        }
        let rest = format!(
            "],\"unique\":{},\"status\":\"{}\",\"since\":{},\"changedAt\":{},\"erased\":{}",
            self.definition.unique,
            self.status.name(),
            self.since.as_micros(),
            self.changed_at.as_micros(),
            self.erased
        );
        out.extend_from_slice(rest.as_bytes());
        if self.automatic {
            out.extend_from_slice(b",\"automatic\":true");
        }
        if let IndexStatus::Failed { reason } = &self.status {
            out.extend_from_slice(b",\"reason\":");
            write_json_string(reason, out);
        }
        out.push(b'}');
    }

    pub(crate) fn from_stored(stored: ValueRef<'_>) -> Option<Index> {
        let member = |name: &str| stored.at(&FieldPath::top(name));
        let fields: Option<Vec<_>> = member("fields")?.items().map(ValueRef::as_str).collect();
        let status = match &*member("status")?.as_str()? {
            "BUILDING" => IndexStatus::Building,
            "READY" => IndexStatus::Ready,
            "DROPPING" => IndexStatus::Dropping,
            "FAILED" => IndexStatus::Failed {
                reason: member("reason")?.as_str()?.into(),
            },
            _ => return None,
        };
        let time = |name| {
            let micros = u64::try_from(member(name)?.as_i64()?).ok()?;
            Some(CommitTs::from_micros(micros))
        };
        Some(Index {
            id: IndexId(u32::try_from(member("id")?.as_i64()?).ok()?),
            definition: IndexDefinition::parse(fields?, member("unique")?.as_bool()?).ok()?,
            automatic: member("automatic").and_then(ValueRef::as_bool) == Some(true),
            status,
            since: time("since")?,
            changed_at: time("changedAt")?,
            erased: member("erased")?.as_bool()?,
        })
    }
}

/// How far the building of an index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexProgress {
    /// How many documents have been looked at.
    pub documents_done: u64,
    /// How many documents the collection has.
    pub documents_total: u64,
    /// How many rows the index has.
    pub rows: u64,
}

/// What is counted of an index in the commits that write its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexStatistics {
    /// Rows of current images.
    pub(crate) rows: u64,
    /// How many documents the build has looked at.
    pub(crate) documents_done: u64,
    /// The last document that the build has looked at.
    pub(crate) built_to: Option<DocumentId>,
}

const STATISTICS_BYTES: usize = 1 + 8 + 8;

impl IndexStatistics {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&self.rows.to_be_bytes());
        bytes.extend_from_slice(&self.documents_done.to_be_bytes());
        if let Some(id) = &self.built_to {
            bytes.extend_from_slice(id.as_str().as_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<IndexStatistics, EngineError> {
        let read = || {
            let number =
                |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
            let built_to = match bytes.get(STATISTICS_BYTES..)? {
                [] => None,
                id => Some(DocumentId::new(std::str::from_utf8(id).ok()?).ok()?),
            };
            Some(IndexStatistics {
                rows: number(1)?,
                documents_done: number(9)?,
                built_to,
            })
        };
        read().ok_or(EngineError::Corrupt {
            what: "index statistics",
        })
    }
}

/// What was counted of an index; nothing of an unknown one.
pub(crate) fn read_statistics(
    reader: &dyn Reader,
    index: IndexId,
) -> Result<IndexStatistics, EngineError> {
    match reader.get(&keyspace::index_statistics(index))? {
        Some(stored) => IndexStatistics::decode(&stored),
        None => Ok(IndexStatistics::default()),
    }
}

/// What was counted of all indexes, former ones included.
pub(crate) fn load_statistics(
    reader: &dyn Reader,
) -> Result<FxHashMap<IndexId, IndexStatistics>, EngineError> {
    let mut all = FxHashMap::default();
    visit_statistics(reader, Direction::Forward, &mut |index, stored| {
        all.insert(index, IndexStatistics::decode(stored)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

/// The highest number that an index ever had. The statistics of a dropped one stay, so that its number is not given
/// to another.
pub(crate) fn last_index(reader: &dyn Reader) -> Result<Option<IndexId>, EngineError> {
    let mut last = None;
    visit_statistics(reader, Direction::Backward, &mut |index, _| {
        last = Some(index);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(last)
}

/// Is shown the statistics of an index as they are stored.
type Visitor<'v> = &'v mut dyn FnMut(IndexId, &[u8]) -> Result<ControlFlow<()>, EngineError>;

fn visit_statistics(
    reader: &dyn Reader,
    direction: Direction,
    visit: Visitor<'_>,
) -> Result<(), EngineError> {
    let prefix = keyspace::all_index_statistics();
    let end = prefix_end(&prefix).expect("a statistics key does not consist of 0xff bytes");
    let mut failure = None;
    reader.scan(
        Bound::Included(&prefix),
        Bound::Excluded(&end),
        direction,
        &mut |key, stored| {
            let seen =
                keyspace::parse_index_statistics(key).and_then(|index| visit(index, &stored));
            seen.unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        },
    )?;
    failure.map_or(Ok(()), Err)
}
