//! Reading all that satisfies a filter, in any order, or one end of it by an index: what aggregates are made of.

use std::sync::Arc;

use super::candidates::{self, Extent, View, Visit};
use super::plan::Plan;
use super::{Choice, Find, count_everything, count_from_rows, find, page, plan, serving};
use crate::error::EngineError;
use crate::predicate::Predicate;
use crate::record::Record;

/// How documents were found that were not returned.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) plan: Arc<Plan>,
    pub(crate) rows_read: u64,
    /// Whether every document was looked at to find those of the filter.
    pub(crate) scanned: bool,
}

impl Read {
    fn new(find: &Find, plan: Arc<Plan>, rows_read: u64) -> Read {
        Read {
            scanned: plan.is_scan() && *find.filter != Predicate::True,
            plan,
            rows_read,
        }
    }
}

/// Shows every document that satisfies the filter, once, in any order.
pub(crate) fn visit<'s>(
    view: View<'s>,
    find: &Find,
    visit: Visit<'_, 's>,
) -> Result<Read, EngineError> {
    let plan = plan(view, find, Choice::Any)?;
    let rows_read = candidates::visit(view, find, &plan, Extent::Everything, None, visit)?;
    Ok(Read::new(find, plan, rows_read))
}

/// The first document of a find, where an index has the documents in its order.
pub(crate) fn first_by_index<'s>(
    view: View<'s>,
    find: &Find,
) -> Result<Option<(Option<Record<'s>>, Read)>, EngineError> {
    let plan = plan(view, find, Choice::Any)?;
    if plan.index().is_none() || !plan.is_ordered() {
        return Ok(None);
    }
    let page = page::take(view, find, &plan, Extent::Page)?;
    let first = page.rows.into_iter().next();
    Ok(Some((first, Read::new(find, plan, page.rows_read))))
}

/// Counts the documents that satisfy the filter, without a look at them where that can be.
pub(crate) fn count(view: View<'_>, counting: &Find) -> Result<(u64, Read), EngineError> {
    if let Some(counted) = count_everything(view, counting)? {
        return Ok((
            counted,
            Read::new(counting, Arc::new(Plan::scan(counting)), 0),
        ));
    }
    if let Some(plan) = plan::counting(counting, &serving(view, counting.collection))
        && let Some(counted) = count_from_rows(view, counting, &plan)?
    {
        return Ok((counted, Read::new(counting, Arc::new(plan), 0)));
    }
    let found = find(view, counting, Choice::Any)?;
    let read = Read::new(counting, found.plan, found.rows_read);
    Ok((found.total.unwrap_or_default(), read))
}
