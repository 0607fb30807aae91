//! Totals that are kept, and moved along by the changes.

use std::sync::Arc;

use thalweg_model::CollectionId;

use super::accumulator::{Accumulator, Unknown};
use super::{Aggregate, Aggregated, Aggregation, Function, of_documents, outcomes};
use crate::commit::Change;
use crate::error::EngineError;
use crate::field::Image;
use crate::find::{Plan, View};
use crate::join;
use crate::predicate::Predicate;
use crate::record::Record;

/// What the totals of all documents have been made of.
#[derive(Debug)]
pub(crate) struct KeptTotals {
    aggregate: Aggregate,
    totals: Vec<Accumulator>,
    plan: Arc<Plan>,
    /// Whether something was taken away.
    has_lost: bool,
    /// Whether a change has come of which only another pass tells what follows.
    is_unknown: bool,
}

impl KeptTotals {
    /// Whether the changes alone can tell what it comes to, and a pass costs enough to want that.
    pub(crate) fn is_for(aggregate: &Aggregate) -> bool {
        let can_follow = |it: &Aggregation| {
            !matches!(
                it,
                Aggregation::Of {
                    function: Function::CountDistinct,
                    ..
                }
            )
        };
        let is_counted = *aggregate.filter == Predicate::True
            && aggregate.totals.iter().all(|it| *it == Aggregation::Count);
        aggregate.grouping.is_none()
            && !aggregate.totals.is_empty()
            && aggregate.totals.iter().all(can_follow)
            && !join::has_relations(&aggregate.filter)
            && !is_counted
    }

    /// Makes the totals, to be kept.
    pub(crate) fn read(
        view: View<'_>,
        aggregate: &Aggregate,
    ) -> Result<(Aggregated, KeptTotals), EngineError> {
        let (made, totals) = of_documents(view, aggregate, &aggregate.find())?;
        let kept = KeptTotals {
            aggregate: aggregate.clone(),
            totals,
            plan: Arc::clone(&made.plan),
            has_lost: false,
            is_unknown: false,
        };
        Ok((made, kept))
    }

    /// Whether it is of these totals.
    pub(crate) fn is_of(&self, aggregate: &Aggregate) -> bool {
        self.aggregate == *aggregate
    }

    /// Whether it still tells them.
    pub(crate) fn is_enough(&self) -> bool {
        let is_doubtful = || self.totals.iter().any(Accumulator::is_doubtful);
        !(self.is_unknown || self.has_lost && is_doubtful())
    }

    /// The collection.
    pub(crate) fn collection(&self) -> CollectionId {
        self.aggregate.collection
    }

    /// What they come to.
    pub(crate) fn made(&self) -> Aggregated {
        Aggregated {
            totals: outcomes(&self.totals),
            groups: Vec::new(),
            group_count: 0,
            dependencies: self.aggregate.find().dependencies(),
            rows_read: 0,
            plan: Arc::clone(&self.plan),
            scanned: false,
        }
    }

    /// Follows a change of a document of the collection.
    pub(crate) fn follow(&mut self, change: &Change) {
        let Aggregate {
            filter,
            deleted,
            totals,
            ..
        } = &self.aggregate;
        let of_filter =
            |image: &&Arc<Record<'static>>| deleted.admits(image) && filter.matches(image);
        let before = change.before.as_ref().filter(of_filter);
        let after = change.after.as_ref().filter(of_filter);
        let (before, after) = (
            before.map(|image| Image::of(image)),
            after.map(|image| Image::of(image)),
        );
        self.has_lost |= before.is_some();
        for (accumulator, aggregation) in self.totals.iter_mut().zip(totals.iter()) {
            let followed = match aggregation {
                Aggregation::Count => {
                    accumulator.recount(before.is_some(), after.is_some());
                    Ok(())
                }
                Aggregation::Of { field, kind, .. } => {
                    let before = before.map(|image| image.field(field));
                    let after = after.map(|image| image.field(field));
                    accumulator.follow(before, after, *kind, change.id.as_str())
                }
            };
            if let Err(Unknown) = followed {
                self.is_unknown = true;
            }
        }
    }
}
