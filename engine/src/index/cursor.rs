//! Reading an index's rows in order, in either direction, as they are or as they were at an earlier time.

use std::borrow::Cow;

use thalweg_model::{CommitTs, KeyReader, prefix_end};
use thalweg_storage::{Direction, FirstRows, Snapshot as Reader};

use super::rows::{RowValue, corrupt};
use super::state::IndexId;
use crate::error::EngineError;
use crate::keyspace;

/// Rows between two keys of an index (values, then the id): from the first, up to but without the second.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowRange {
    pub(crate) from: Vec<u8>,
    /// `None`: up to the last row.
    pub(crate) to: Option<Vec<u8>>,
}

impl RowRange {
    pub(crate) fn all() -> RowRange {
        RowRange {
            from: Vec::new(),
            to: None,
        }
    }

    /// Every row whose key begins so.
    pub(crate) fn of_prefix(prefix: Vec<u8>) -> RowRange {
        RowRange {
            to: prefix_end(&prefix),
            from: prefix,
        }
    }

    /// The part that lies in another range too; `None` where that has no rows.
    pub(crate) fn intersect(&self, other: &RowRange) -> Option<RowRange> {
        let to = match (&self.to, &other.to) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.as_ref().or(two.as_ref()),
        };
        let from = (&self.from).max(&other.from);
        to.is_none_or(|to| from < to).then(|| RowRange {
            from: from.clone(),
            to: to.cloned(),
        })
    }
}

/// A row of a current image as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// Its key within the index: the values, then the id.
    pub key: Vec<u8>,
    /// The document that it is of.
    pub id: String,
    /// Whether it is marked as that of a softly deleted document.
    pub is_deleted: bool,
}

/// Rows of current images after a key.
pub(crate) fn stored_rows(
    reader: &dyn Reader,
    index: IndexId,
    after: Option<&[u8]>,
    rows_max: usize,
) -> Result<Vec<IndexRow>, EngineError> {
    let mut range = RowRange::all();
    if let Some(after) = after {
        // The next key after it.
        range.from = [after, &[0]].concat();
    }
    let mut cursor = RowCursor::new(reader, index, &range, Direction::Forward, None, rows_max);
    let mut rows = Vec::new();
    while rows.len() < rows_max
        && let Some(row) = cursor.next()?
    {
        rows.push(IndexRow {
            key: row.key.to_vec(),
            id: row.id()?.into_owned(),
            is_deleted: row.value.is_deleted,
        });
    }
    Ok(rows)
}

/// A row, without the prefix of its key.
#[derive(Clone, Copy)]
pub(crate) struct RowRef<'c> {
    /// The values, then the id as a string.
    pub(crate) key: &'c [u8],
    pub(crate) value: RowValue,
}

impl<'c> RowRef<'c> {
    pub(crate) fn values(self) -> &'c [u8] {
        &self.key[..self.value.values_bytes]
    }

    pub(crate) fn id(self) -> Result<Cow<'c, str>, EngineError> {
        id_of(self.key, self.value)
    }
}

/// The id in the key of a row.
pub(crate) fn id_of(key: &[u8], row: RowValue) -> Result<Cow<'_, str>, EngineError> {
    let id = key.get(row.values_bytes..).ok_or_else(corrupt)?;
    KeyReader::new(id).string().ok_or_else(corrupt)
}

/// Reads the rows of a range one by one. Reads ahead in pages that grow, so that a short look is cheap. Whoever has
/// several cursors may read their pages together: see [`read_pages`].
pub(crate) struct RowCursor<'r> {
    current: Source<'r>,
    /// The ended rows, for an earlier time.
    ended: Option<Source<'r>>,
    direction: Direction,
    /// The key of the last row, so that one is not shown twice.
    last: Vec<u8>,
}

impl<'r> RowCursor<'r> {
    pub(crate) fn new(
        reader: &'r dyn Reader,
        index: IndexId,
        range: &RowRange,
        direction: Direction,
        at: Option<CommitTs>,
        page_rows: usize,
    ) -> RowCursor<'r> {
        let source = |keys| Source::new(reader, index, keys, range, direction, at, page_rows);
        RowCursor {
            current: source(Keys::Current),
            ended: at.is_some().then(|| source(Keys::Ended)),
            direction,
            last: Vec::new(),
        }
    }

    /// Whether [`RowCursor::next`] has to read nothing.
    pub(crate) fn is_ready(&self) -> bool {
        let Some(ended) = &self.ended else {
            return self.current.is_ready();
        };
        // Only who has shown the last row goes on; the other stands on a row that is still to be shown.
        let is_ready = |source: &Source<'_>| !source.goes_on(&self.last) || source.is_ready();
        is_ready(&self.current) && is_ready(ended)
    }

    /// The sources that [`RowCursor::next`] has to read.
    fn unready(&mut self) -> impl Iterator<Item = &mut Source<'r>> {
        let is_merged = self.ended.is_some();
        let last = &self.last;
        let sources = [Some(&mut self.current), self.ended.as_mut()];
        let sources = sources.into_iter().flatten();
        sources.filter(move |source| {
            let goes_on = !is_merged || source.goes_on(last);
            goes_on && !source.is_ready()
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<RowRef<'_>>, EngineError> {
        let Some(ended) = &mut self.ended else {
            self.current.advance()?;
            return Ok(self.current.peek());
        };
        let current = &mut self.current;
        let ended_first = loop {
            // Whoever has shown the last row goes on; at the start both do.
            for source in [&mut *current, &mut *ended] {
                if source.goes_on(&self.last) {
                    source.advance()?;
                }
            }
            let ended_first = match (current.peek(), ended.peek()) {
                (None, None) => return Ok(None),
                (Some(_), None) => false,
                (None, Some(_)) => true,
                (Some(current), Some(ended)) => match self.direction {
                    Direction::Forward => ended.key < current.key,
                    Direction::Backward => ended.key > current.key,
                },
            };
            let next = if ended_first { &*ended } else { &*current };
            let key = next.peek().map(|row| row.key).unwrap_or_default();
            if key != self.last {
                self.last.clear();
                self.last.extend_from_slice(key);
                break ended_first;
            }
        };
        Ok(if ended_first {
            ended.peek()
        } else {
            current.peek()
        })
    }
}

/// Reads a page for each cursor that is not ready, all in one exchange with a store that is elsewhere.
pub(crate) fn read_pages(
    reader: &dyn Reader,
    cursors: &mut [&mut RowCursor<'_>],
) -> Result<(), EngineError> {
    let mut sources: Vec<&mut Source<'_>> = cursors
        .iter_mut()
        .flat_map(|cursor| cursor.unready())
        .collect();
    read(reader, &mut sources)
}

fn read(reader: &dyn Reader, sources: &mut [&mut Source<'_>]) -> Result<(), EngineError> {
    let bounds: Vec<Bounds> = sources.iter_mut().map(|it| it.begin_page()).collect();
    let wanted: Vec<FirstRows<'_>> = sources
        .iter()
        .zip(&bounds)
        .map(|(source, bounds)| FirstRows {
            from: &bounds.from,
            to: &bounds.to,
            direction: source.direction,
            rows_max: source.page_rows,
        })
        .collect();
    let mut added = Ok(());
    reader.scan_many(&wanted, &mut |number, key, stored| {
        if added.is_ok() {
            added = sources[number].add(key, &stored);
        }
    })?;
    added?;
    for (source, bounds) in sources.iter_mut().zip(bounds) {
        source.end_page(bounds);
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Keys {
    Current,
    Ended,
}

const PAGE_ROWS_MIN: usize = 4;
/// How many rows are read first where nobody knows how many it takes.
pub(crate) const PAGE_ROWS_FIRST: usize = 32;
const PAGE_ROWS_MAX: usize = 1024;

/// Rows of one keyspace, read a page at a time.
struct Source<'r> {
    reader: &'r dyn Reader,
    keys: Keys,
    prefix_bytes: usize,
    /// Between which keys the rows are that were not read yet.
    bounds: Bounds,
    direction: Direction,
    at: Option<CommitTs>,
    page: Vec<u8>,
    /// Where each row of the page begins and ends in it, and its value.
    rows: Vec<(usize, usize, RowValue)>,
    next: usize,
    /// How many rows the next page has at most.
    page_rows: usize,
    /// How many were read for this one, and the key of the last of them if it is full.
    added: usize,
    last: Vec<u8>,
    exhausted: bool,
}

/// From the lowest key, up to but without the other.
#[derive(Default)]
struct Bounds {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl<'r> Source<'r> {
    fn new(
        reader: &'r dyn Reader,
        index: IndexId,
        keys: Keys,
        range: &RowRange,
        direction: Direction,
        at: Option<CommitTs>,
        page_rows: usize,
    ) -> Self {
        let prefix = match keys {
            Keys::Current => keyspace::index_rows(index),
            Keys::Ended => keyspace::ended_rows(index),
        };
        let with_prefix = |key: &[u8]| [prefix.as_slice(), key].concat();
        Source {
            reader,
            keys,
            prefix_bytes: prefix.len(),
            bounds: Bounds {
                from: with_prefix(&range.from),
                to: match &range.to {
                    Some(to) => with_prefix(to),
                    None => {
                        prefix_end(&prefix).expect("an index key does not consist of 0xff bytes")
                    }
                },
            },
            direction,
            at,
            page: Vec::new(),
            rows: Vec::new(),
            next: 0,
            page_rows: page_rows.clamp(PAGE_ROWS_MIN, PAGE_ROWS_MAX),
            added: 0,
            last: Vec::new(),
            exhausted: false,
        }
    }

    /// The row that it stands on.
    fn peek(&self) -> Option<RowRef<'_>> {
        let (from, to, value) = self.rows.get(self.next.checked_sub(1)?)?;
        Some(RowRef {
            key: &self.page[*from..*to],
            value: *value,
        })
    }

    /// Whether it moves, once the row with that key has been shown.
    fn goes_on(&self, last: &[u8]) -> bool {
        match self.peek() {
            Some(row) => row.key == last,
            // At the beginning of a page, be it one that is still to be read; or at the end of all.
            None => !self.rows.is_empty() || !self.exhausted,
        }
    }

    /// Whether the next row, or that there is none, is known without reading.
    fn is_ready(&self) -> bool {
        self.next < self.rows.len() || self.exhausted
    }

    fn advance(&mut self) -> Result<(), EngineError> {
        while self.next >= self.rows.len() {
            if self.exhausted {
                self.rows.clear();
                self.next = 0;
                return Ok(());
            }
            read(self.reader, &mut [&mut *self])?;
        }
        self.next += 1;
        Ok(())
    }

    fn begin_page(&mut self) -> Bounds {
        self.rows.clear();
        self.page.clear();
        self.next = 0;
        self.added = 0;
        self.last.clear();
        std::mem::take(&mut self.bounds)
    }

    fn add(&mut self, key: &[u8], stored: &[u8]) -> Result<(), EngineError> {
        self.added += 1;
        if let Some((shown, value)) = look(self.keys, self.at, &key[self.prefix_bytes..], stored)? {
            let start = self.page.len();
            self.page.extend_from_slice(shown);
            self.rows.push((start, self.page.len(), value));
        }
        if self.added == self.page_rows {
            self.last.extend_from_slice(key);
        }
        Ok(())
    }

    /// The page is full, or has all rows that there are.
    fn end_page(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.exhausted = self.added < self.page_rows;
        self.page_rows = (self.page_rows * 2).min(PAGE_ROWS_MAX);
        let last = std::mem::take(&mut self.last);
        match self.direction {
            Direction::Forward => {
                self.bounds.from = last;
                // The next key after it.
                self.bounds.from.push(0);
            }
            Direction::Backward => self.bounds.to = last,
        }
    }
}

/// The part of a row's key that is shown, and its value; `None` where the row did not hold at that time.
fn look<'k>(
    keys: Keys,
    at: Option<CommitTs>,
    key: &'k [u8],
    stored: &[u8],
) -> Result<Option<(&'k [u8], RowValue)>, EngineError> {
    let value = RowValue::decode(stored)?;
    if key.len() <= value.values_bytes {
        return Err(corrupt());
    }
    if at.is_some_and(|at| value.from > at) {
        return Ok(None);
    }
    if keys == Keys::Current {
        return Ok(Some((key, value)));
    }
    let (shown, until) = key.split_last_chunk::<8>().ok_or_else(corrupt)?;
    let until = !u64::from_be_bytes(*until);
    if shown.len() <= value.values_bytes {
        return Err(corrupt());
    }
    let held = at.is_none_or(|at| at.as_micros() < until);
    Ok(held.then_some((shown, value)))
}
