//! Lists in the order of what their documents are related to: `orderBy: [{director: {name: ASC}}]`.
//!
//! Where a document stands depends on others, so no index has that order: all documents that pass the filter are found,
//! up to a bound, what they name is loaded together, and they are sorted. A cursor has the values that the document stood
//! by, so it stays a place in the order though the document moves.

use std::collections::HashMap;
use std::sync::Arc;

use thalweg_engine::{
    DependencySet, EngineError, FieldMask, FieldRef, Find, Found, OrderKey, Position, Record,
    Snapshot, fingerprint, write_order_key,
};
use thalweg_model::{CollectionId, ErrorCode, FieldPath};
use thalweg_schema_infer::RelationKey;

use crate::failure::Refusal;
use crate::related_keys::{Key, Named, key_of, load};

/// How many documents are sorted by what they are related to.
pub(crate) const SORTED_MAX: usize = 10_000;

/// A key of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JoinedKey {
    /// The relations on the way to the document that has the field; none for the document itself.
    pub(crate) hops: Vec<Hop>,
    pub(crate) key: OrderKey,
}

/// A relation on the way to what a document is ordered by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hop {
    /// The field that names the next document.
    pub(crate) field: FieldPath,
    pub(crate) key: RelationKey,
    pub(crate) target: CollectionId,
}

/// An order in which some key is another document's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JoinedOrder {
    pub(crate) keys: Vec<JoinedKey>,
}

/// Why there is no page.
pub(crate) enum NoPage {
    Refused(Refusal),
    Store(EngineError),
}

impl From<EngineError> for NoPage {
    fn from(error: EngineError) -> Self {
        NoPage::Store(error)
    }
}

/// Where the documents of a page stand, by id.
pub(crate) type Positions = HashMap<Box<str>, Position>;

impl JoinedOrder {
    /// Of the order, for cursors.
    pub(crate) fn fingerprint(&self) -> u32 {
        let mut keys: Vec<OrderKey> = Vec::new();
        for key in &self.keys {
            for hop in &key.hops {
                // A field that is passed through tells orders apart like one that is ordered by.
                keys.push(OrderKey {
                    field: FieldRef::Path(hop.field.child(&hop.target.to_string())),
                    descending: false,
                    instant: true,
                });
            }
            keys.push(key.key.clone());
        }
        fingerprint(&keys)
    }

    /// What of the documents themselves the order looks at.
    fn own_mask(&self) -> FieldMask {
        let mut mask = FieldMask::none();
        for key in &self.keys {
            match key.hops.first() {
                Some(hop) => mask.add(FieldRef::Path(hop.field.clone())),
                None => mask.add(key.key.field.clone()),
            }
        }
        mask
    }

    /// A page in this order of what the find selects.
    pub(crate) fn page<'s>(
        &self,
        snapshot: &'s Snapshot,
        find: &Find,
        dependencies: &mut DependencySet,
    ) -> Result<(Found<'s>, Positions), NoPage> {
        let mut read = find.read.clone();
        read.merge(&self.own_mask());
        let all = Find {
            order: Arc::from([]),
            after: None,
            before: None,
            offset: 0,
            limit: SORTED_MAX + 1,
            from_end: false,
            read,
            ..find.clone()
        };
        let mut found = snapshot.find(&all)?;
        if found.rows.len() > SORTED_MAX {
            return Err(NoPage::Refused(Refusal::new(
                ErrorCode::LimitExceeded,
                format!(
                    "the filter selects more than {SORTED_MAX} documents, the most that are ordered by what they are \
                     related to; narrow it, or order by their own fields"
                ),
            )));
        }
        let rows = std::mem::take(&mut found.rows);
        let mut positions: Vec<Vec<u8>> = vec![Vec::new(); rows.len()];
        for key in &self.keys {
            key.write(snapshot, &rows, &mut positions, dependencies)?;
        }
        let mut placed: Vec<(Position, Record<'s>)> = rows
            .into_iter()
            .zip(positions)
            .map(|(row, mut position)| {
                position.extend_from_slice(row.id().as_bytes());
                (Position::from_bytes(position), row)
            })
            .collect();
        placed.sort_unstable_by(|one, two| one.0.cmp(&two.0));
        let is_between = |position: &Position| {
            find.after.as_ref().is_none_or(|after| position > after)
                && find.before.as_ref().is_none_or(|before| position < before)
        };
        placed.retain(|(position, _)| is_between(position));
        if find.from_end {
            placed.reverse();
        }
        let has_more = placed.len() > find.offset.saturating_add(find.limit);
        let mut page: Vec<(Position, Record<'s>)> = placed
            .into_iter()
            .skip(find.offset)
            .take(find.limit)
            .collect();
        if find.from_end {
            page.reverse();
        }
        let passed_over = |cursor: &Option<Position>| cursor.is_some() || find.offset > 0;
        found.has_before = if find.from_end {
            has_more
        } else {
            passed_over(&find.after)
        };
        found.has_after = if find.from_end {
            passed_over(&find.before)
        } else {
            has_more
        };
        let mut positions = Positions::with_capacity(page.len());
        for (position, row) in page {
            positions.insert(row.id().into(), position);
            found.rows.push(row);
        }
        Ok((found, positions))
    }
}

impl JoinedKey {
    /// Appends the key of each row to its position.
    fn write(
        &self,
        snapshot: &Snapshot,
        rows: &[Record<'_>],
        positions: &mut [Vec<u8>],
        dependencies: &mut DependencySet,
    ) -> Result<(), EngineError> {
        let mut reached: Vec<Option<Record<'_>>> = rows.iter().cloned().map(Some).collect();
        for (number, hop) in self.hops.iter().enumerate() {
            let mut mask = FieldMask::none();
            match self.hops.get(number + 1) {
                Some(next) => mask.add(FieldRef::Path(next.field.clone())),
                None => mask.add(self.key.field.clone()),
            }
            if let RelationKey::Field(path) = &hop.key {
                mask.add(FieldRef::Path(path.clone()));
            }
            let named = Named {
                target: hop.target,
                key: &hop.key,
                mask: &mask,
            };
            let keys: Vec<Option<Key>> = reached
                .iter()
                .map(|record| key_of(&hop.key, record.as_ref()?.document().at(&hop.field)?))
                .collect();
            let mut distinct: Vec<Key> = keys.iter().flatten().cloned().collect();
            distinct.sort_unstable_by(|one, two| one.bytes.cmp(&two.bytes));
            distinct.dedup_by(|one, two| one.bytes == two.bytes);
            let records = load(snapshot, named, &distinct, dependencies)?;
            reached = keys
                .into_iter()
                .map(|key| {
                    let key = key?;
                    let found = distinct.binary_search_by(|known| known.bytes.cmp(&key.bytes));
                    records[found.ok()?].clone()
                })
                .collect();
        }
        for (record, position) in reached.iter().zip(positions) {
            write_order_key(record.as_ref(), &self.key, position);
        }
        Ok(())
    }
}
