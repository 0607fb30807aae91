//! What an operation costs, in rows: documents that it looks at, and earlier revisions of them.
//!
//! Estimated before it runs, from the plan: a document by its id is 1, a page what its index or its scan is expected to
//! look at, and what is nested counts once for each row above it. Counted while it runs, by the engine. An estimate can
//! be wrong in both directions, so it refuses only what is far from the bound's purpose, and the count is what holds.

use std::sync::Arc;

use thalweg_engine::{
    Aggregate, Collection, Deleted, DependencySet, EngineError, FieldMask, Find, Interrupt,
    Interruption, Predicate, Snapshot,
};

use crate::bind::{Bound, BoundList};
use crate::failure::Refusal;
use crate::index_advice::{fitting_index, is_declared, quoted};
use crate::limits::Limits;
use crate::operation::Prepared;
use crate::plan::related::BackSelection;
use crate::plan::selection::{
    ConnectionSelection, ConnectionSource, DocumentSelection, DocumentSource, EdgeSource,
    HistorySelection,
};
use crate::plan::{Action, QueryAction, RootField};

/// What one run of an operation may use up.
#[derive(Clone)]
pub(crate) struct Allowance {
    /// Rows.
    pub(crate) rows_max: u64,
    /// Who is asked whether to go on.
    pub(crate) interrupt: Option<Arc<dyn Interrupt>>,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Precision {
    /// At how many documents there are: costs next to nothing, and is never below what the plan says.
    AtMost,
    /// At how the planner would find them.
    Planned,
}

/// What an operation is expected to cost.
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    pub(crate) rows: u64,
    /// The root field that costs most, and its part.
    dearest: Option<(usize, u64)>,
}

impl Estimate {
    /// Estimates a query. It looks closely only where a glance does not settle that the bound holds, or always, if
    /// somebody wants to know.
    pub(crate) fn of(
        prepared: &Prepared,
        snapshot: &Snapshot,
        rows_max: u64,
        is_asked: bool,
    ) -> Result<Estimate, EngineError> {
        if !is_asked {
            let glance = Estimate::with(prepared, snapshot, Precision::AtMost)?;
            if glance.rows <= rows_max {
                return Ok(glance);
            }
        }
        Estimate::with(prepared, snapshot, Precision::Planned)
    }

    fn with(
        prepared: &Prepared,
        snapshot: &Snapshot,
        precision: Precision,
    ) -> Result<Estimate, EngineError> {
        let roots = &prepared.plan.roots;
        let estimator = Estimator {
            snapshot,
            precision,
            inner: prepared.bound.get(roots.len()..).unwrap_or_default(),
        };
        let mut estimate = Estimate::default();
        for (index, (root, bound)) in roots.iter().zip(prepared.bound.iter()).enumerate() {
            let rows = estimator.root(root, bound)?;
            estimate.rows = estimate.rows.saturating_add(rows);
            if estimate.dearest.is_none_or(|(_, most)| rows > most) {
                estimate.dearest = Some((index, rows));
            }
        }
        Ok(estimate)
    }

    /// Why an operation of that cost is not run, and the root field that is most to blame; `None` where it may run.
    pub(crate) fn refusal<'p>(
        &self,
        prepared: &'p Prepared,
        snapshot: &Snapshot,
        rows_max: u64,
    ) -> Option<(&'p RootField, Refusal)> {
        if self.rows <= rows_max {
            return None;
        }
        let (index, rows) = self.dearest?;
        let root = prepared.plan.roots.get(index)?;
        let advice = match prepared.bound.get(index) {
            Some(Bound::Aggregate(bound)) => {
                let find = bound.aggregate.find();
                let collection = snapshot.catalog().by_id(find.collection);
                advice(collection.map(|found| &**found), &find)
            }
            Some(Bound::List(list)) => {
                let collection = snapshot.catalog().by_id(list.find.collection);
                advice(collection.map(|found| &**found), &list.find)
            }
            _ => "ask for fewer rows at a time".to_owned(),
        };
        let share = match prepared.plan.roots.len() {
            1 => String::new(),
            _ => format!(", {rows} of them for this field"),
        };
        let message = format!(
            "the operation would look at about {} documents{share}; at most {rows_max} are allowed: {advice}",
            self.rows
        );
        Some((root, Refusal::limit(message)))
    }
}

struct Estimator<'e> {
    snapshot: &'e Snapshot,
    precision: Precision,
    /// What the plan's inner fields are bound to.
    inner: &'e [Bound],
}

impl Estimator<'_> {
    fn root(&self, root: &RootField, bound: &Bound) -> Result<u64, EngineError> {
        let Action::Query(action) = &root.action else {
            return Ok(0);
        };
        Ok(match (action, bound) {
            (QueryAction::ById { selection, .. }, Bound::Document { .. }) => {
                self.below(selection)?.saturating_add(1)
            }
            (QueryAction::Node(selections), Bound::Node(Some((collection, _)))) => {
                let mut selections = selections.iter();
                let found = selections.find(|(of, _)| of == collection);
                match found {
                    Some((_, selection)) => self.below(selection)?.saturating_add(1),
                    None => 0,
                }
            }
            (QueryAction::List { selection, .. }, Bound::List(list)) => {
                self.list(selection, list)?
            }
            (QueryAction::Aggregate { .. }, Bound::Aggregate(bound)) => {
                self.aggregate(&bound.aggregate)?
            }
            _ => 0,
        })
    }

    /// What may be known without a pass is not refused for what a pass would cost: the count settles that.
    fn aggregate(&self, aggregate: &Aggregate) -> Result<u64, EngineError> {
        match self.precision {
            _ if aggregate.may_need_no_pass() => Ok(0),
            Precision::AtMost => self.snapshot.stored_count(aggregate.collection),
            Precision::Planned => self.snapshot.estimate(&aggregate.find()),
        }
    }

    fn list(&self, selection: &ConnectionSelection, list: &BoundList) -> Result<u64, EngineError> {
        let find = &list.find;
        let page = (find.limit as u64)
            .saturating_add(find.offset as u64)
            .saturating_add(1);
        let read = match self.precision {
            // Without a filter or an order, a page ends the reading.
            Precision::AtMost if list.at.is_none() && !find.may_scan() => page,
            Precision::AtMost => self.snapshot.stored_count(find.collection)?,
            Precision::Planned => self.snapshot.estimate(find)?,
        };
        let shown = read.min(find.limit as u64);
        let nested = self.below_rows(selection)?;
        Ok(read.saturating_add(shown.saturating_mul(nested)))
    }

    /// What is read below one document of a page.
    fn below_rows(&self, selection: &ConnectionSelection) -> Result<u64, EngineError> {
        let mut rows = 0_u64;
        for item in &selection.items {
            match &item.source {
                ConnectionSource::Nodes(selection) => {
                    rows = rows.saturating_add(self.below(selection)?);
                }
                ConnectionSource::Edges(items) => {
                    for item in items {
                        if let EdgeSource::Node(selection) = &item.source {
                            rows = rows.saturating_add(self.below(selection)?);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(rows)
    }

    /// What is read below one document.
    fn below(&self, selection: &DocumentSelection) -> Result<u64, EngineError> {
        let mut rows = 0_u64;
        // How many a list names nobody knows before.
        for named in &selection.named {
            let below = self.below(&named.selection)?.saturating_add(1);
            rows = rows.saturating_add(below);
        }
        for item in &selection.items {
            let below = match &item.source {
                DocumentSource::History(history) => self.history(history)?,
                DocumentSource::Back(back) => self.back(back)?,
                _ => 0,
            };
            rows = rows.saturating_add(below);
        }
        Ok(rows)
    }

    /// A page of the documents that name one: what the page has at most.
    fn back(&self, back: &BackSelection) -> Result<u64, EngineError> {
        let Some(Bound::List(list)) = self.inner.get(back.inner) else {
            return Ok(0);
        };
        let find = &list.find;
        let page = (find.limit as u64)
            .saturating_add(find.offset as u64)
            .saturating_add(1);
        let page = page.min(self.snapshot.stored_count(find.collection)?);
        let nested = self.below_rows(&back.selection)?;
        Ok(page.saturating_add(page.saturating_mul(nested)))
    }

    fn history(&self, history: &HistorySelection) -> Result<u64, EngineError> {
        let Some(Bound::Revisions(page)) = self.inner.get(history.inner) else {
            return Ok(0);
        };
        let revisions = page.range.limit as u64;
        // A revision's document leads to no others.
        Ok(revisions)
    }
}

/// What would make a find look at fewer documents.
pub(crate) fn advice(collection: Option<&Collection>, find: &Find) -> String {
    let index = collection.and_then(|collection| {
        let index = fitting_index(find)?;
        Some((collection, index))
    });
    match index {
        Some((collection, index)) if is_declared(collection, &index) => {
            "narrow the filter, or wait until its index is built".to_owned()
        }
        Some((collection, index)) => format!(
            "narrow the filter; on the type of {}, @index(fields: [{}]) would serve it",
            collection.name,
            quoted(&index)
        ),
        None => "narrow the filter, or ask for fewer rows at a time".to_owned(),
    }
}

/// What somebody is told whose reading was ended, with what would help.
pub(crate) fn refusal(error: &EngineError, limits: &Limits, advice: &str) -> Refusal {
    let message = match error {
        EngineError::RowsExceeded => format!(
            "the operation looks at more than {} documents, which is the most that one may: {advice}",
            limits.rows_max
        ),
        EngineError::Interrupted(Interruption::TimedOut { .. }) => format!("{error}: {advice}"),
        _ => error.to_string(),
    };
    Refusal::new(error.code(), message)
}

/// Whether reading was ended because of what it cost, rather than because the store could not be read.
pub(crate) fn is_of_cost(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::RowsExceeded | EngineError::Interrupted(_)
    )
}

/// What a refusal for a find's cost depends on: how many documents there are, and all that the find would look at.
pub(crate) fn dependencies(find: &Find) -> DependencySet {
    let every = Find {
        filter: Arc::new(Predicate::True),
        deleted: Deleted::Include,
        order: Arc::from([]),
        after: None,
        before: None,
        read: FieldMask::none(),
        ..find.clone()
    };
    let mut dependencies = every.dependencies();
    dependencies.merge(find.dependencies());
    // A filter over related documents looks at those first.
    for collection in find.related_collections() {
        let related = Find {
            collection,
            read: FieldMask::all(),
            ..every.clone()
        };
        dependencies.merge(related.dependencies());
    }
    dependencies
}
