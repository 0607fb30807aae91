//! One find for each of several documents: pages of the documents that name them.
//!
//! What they need is read together, so that how often the store is asked does not depend on how many finds there are, but
//! on how far the longest of them has to go.

use std::sync::Arc;

use thalweg_model::CollectionId;

use super::candidates::{self, Extent, View};
use super::index_rows::{IndexRows, Need};
use super::page::Taker;
use super::plan::{self, Access, IndexAccess, Plan};
use super::{Choice, Find, Found, StoredCounts, found, rows_tell, serving};
use crate::error::EngineError;
use crate::field::FieldRef;
use crate::index::Index;
use crate::index::cursor::read_pages;
use crate::join;
use crate::predicate::Predicate;
use crate::record::Record;

/// Several finds that differ only in what one field has to be.
#[derive(Clone, Debug)]
pub struct FindEach {
    /// What is common to all.
    pub find: Find,
    /// The field.
    pub field: FieldRef,
    /// What the documents of each satisfy beside the filter of `find`: something about the field.
    pub each: Vec<Predicate>,
}

impl FindEach {
    /// One of the finds, as it stands by itself.
    pub fn one(&self, number: usize) -> Find {
        FindEach::one_of(&self.find, &self.each[number])
    }

    /// What is common to all, of documents that satisfy this too.
    pub fn one_of(find: &Find, own: &Predicate) -> Find {
        let filter = match &*find.filter {
            Predicate::True => own.clone(),
            filter => Predicate::And(vec![own.clone(), filter.clone()]),
        };
        Find {
            filter: Arc::new(filter),
            ..find.clone()
        }
    }
}

/// The pages, in the order of the finds. What finding related documents depends on stands with the first of them.
pub(crate) fn find_each<'s>(
    view: View<'s>,
    wanted: &FindEach,
) -> Result<Vec<Found<'s>>, EngineError> {
    if wanted.each.len() == 1 {
        return Ok(vec![super::find(view, &wanted.one(0), Choice::Any)?]);
    }
    let resolved = join::resolved(view, &wanted.find)?;
    let common = resolved.as_ref().map_or(&wanted.find, |(find, _)| find);
    let index = best_index(view, &wanted.field, common, &wanted.each)?;
    let mut found = Vec::with_capacity(wanted.each.len());
    for each in wanted.each.chunks(TOGETHER_MAX) {
        let finds: Vec<Find> = (each.iter())
            .map(|own| FindEach::one_of(common, own))
            .collect();
        let through = |find| plan::through(find, index.as_ref()?).map(Arc::new);
        match finds.iter().map(through).collect::<Option<Vec<_>>>() {
            Some(plans) => found.extend(together(view, common.collection, &finds, &plans)?),
            None => {
                for find in &finds {
                    found.push(super::find(view, find, Choice::Any)?);
                }
            }
        }
    }
    if let (Some((_, done)), Some(first)) = (resolved, found.first_mut()) {
        first.rows_read += done.rows_read;
        first.dependencies.merge(done.dependencies);
    }
    Ok(found)
}

/// How many finds go along together: so much is held of each.
const TOGETHER_MAX: usize = 512;
/// How many documents are fetched for them at once, but for those of the last one.
const FETCHED_MAX: usize = 8 << 10;
/// For how many of the finds the planner is asked.
const PLANNED: usize = 2;

/// The index that all finds go through; `None` where they are better made one by one.
///
/// What is a good index may differ from find to find, by how many documents have what the field has to be. So some are
/// looked at, and an index that is the best for one of them whatever the field has to be is no bad one for the others.
fn best_index(
    view: View<'_>,
    field: &FieldRef,
    common: &Find,
    each: &[Predicate],
) -> Result<Option<Arc<Index>>, EngineError> {
    let mut counts = StoredCounts {
        view,
        collection: common.collection,
        failure: None,
    };
    let indexes = serving(view, common.collection);
    let begins = |index: &Arc<Index>| {
        let first = index.definition.fields.first();
        first.is_some_and(|first| first.field == *field)
    };
    let mut chosen: Option<Arc<Index>> = None;
    // One that nothing can satisfy says nothing about the others.
    let is_possible = |own: &&Predicate| !matches!(own, Predicate::Or(any) if any.is_empty());
    let step = each.len().div_ceil(PLANNED).max(1);
    for own in each.iter().filter(is_possible).step_by(step) {
        let find = FindEach::one_of(common, own);
        let plan = plan::choose(&find, &indexes, &mut counts);
        match &plan.access {
            Access::Ids(_) => return counts.failure.map_or(Ok(None), Err),
            Access::Index(access) if !begins(&access.index) => {
                chosen = Some(Arc::clone(&access.index));
                break;
            }
            Access::Index(access) => chosen = chosen.or_else(|| Some(Arc::clone(&access.index))),
            Access::Scan => {}
        }
    }
    if let Some(error) = counts.failure {
        return Err(error);
    }
    Ok(chosen.or_else(|| indexes.iter().find(|it| begins(it)).cloned()))
}

fn access(plan: &Plan) -> &IndexAccess {
    match &plan.access {
        Access::Index(access) => access,
        _ => unreachable!("each of these plans goes through an index"),
    }
}

/// One of the finds on its way.
struct Walk<'s, 'f> {
    rows: IndexRows<'s, 'f>,
    taker: Taker<'f, 's>,
    need: Need,
}

impl<'s> Walk<'s, '_> {
    fn advance(&mut self) -> Result<(), EngineError> {
        let taker = &mut self.taker;
        self.need = self.rows.advance(&mut |record| taker.push(record))?;
        Ok(())
    }

    fn show(&mut self, records: Vec<Option<Record<'s>>>) -> Result<(), EngineError> {
        let taker = &mut self.taker;
        self.rows.show(records, &mut |record| taker.push(record))
    }
}

fn together<'s>(
    view: View<'s>,
    collection: CollectionId,
    finds: &[Find],
    plans: &[Arc<Plan>],
) -> Result<Vec<Found<'s>>, EngineError> {
    let counted = counted(view, finds, plans)?;
    let mut walks: Vec<Walk<'s, '_>> = finds
        .iter()
        .zip(plans)
        .zip(&counted)
        .map(|((find, plan), counted)| {
            let extent = Extent::of_count(*counted);
            let taker = Taker::new(view, find, plan, extent);
            Walk {
                rows: IndexRows::new(view, find, access(plan), extent, taker.expected()),
                taker,
                need: Need::Rows,
            }
        })
        .collect();
    loop {
        let mut open = walks.iter_mut().filter(|walk| walk.need != Need::Nothing);
        open.try_for_each(Walk::advance)?;
        let mut cursors: Vec<_> = walks
            .iter_mut()
            .filter(|walk| walk.need == Need::Rows)
            .filter_map(|walk| walk.rows.cursor())
            .collect();
        if !cursors.is_empty() {
            read_pages(view.snapshot.reader(), &mut cursors)?;
        }
        fetch(view, collection, &mut walks)?;
        if walks.iter().all(|walk| walk.need == Need::Nothing) {
            break;
        }
    }
    let pages = walks.into_iter().map(|walk| {
        let rows_read = walk.rows.rows_read();
        walk.taker.into_page(rows_read)
    });
    let all = finds.iter().zip(plans).zip(counted).zip(pages);
    Ok(all
        .map(|(((find, plan), counted), page)| found(find, Arc::clone(plan), page, counted))
        .collect())
}

/// Gives the documents to those who need some; who has to wait will need them still.
fn fetch<'s>(
    view: View<'s>,
    collection: CollectionId,
    walks: &mut [Walk<'s, '_>],
) -> Result<(), EngineError> {
    let needs = |walk: &&Walk<'s, '_>| walk.need == Need::Documents;
    let mut ids = Vec::new();
    let mut numbers = Vec::new();
    for walk in walks.iter().filter(needs) {
        if ids.len() >= FETCHED_MAX {
            break;
        }
        let of_walk = walk.rows.ids()?;
        numbers.push(of_walk.len());
        ids.extend(of_walk);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
    let mut records = view.get_many(collection, &ids)?.into_iter();
    let needing = walks.iter_mut().filter(|walk| walk.need == Need::Documents);
    for (walk, number) in needing.zip(numbers) {
        walk.show(records.by_ref().take(number).collect())?;
    }
    Ok(())
}

/// What [`super::count_without_documents`] says of each.
fn counted(
    view: View<'_>,
    finds: &[Find],
    plans: &[Arc<Plan>],
) -> Result<Vec<Option<u64>>, EngineError> {
    let mut counted: Vec<Option<u64>> = vec![None; finds.len()];
    let mut from_rows = Vec::new();
    for (number, (find, plan)) in finds.iter().zip(plans).enumerate() {
        if !find.count_total {
            counted[number] = Some(0);
        } else if plan.is_ordered() && rows_tell(view, find, plan) {
            from_rows.push(number);
        }
    }
    let Some(&first) = from_rows.first() else {
        return Ok(counted);
    };
    let ranges = from_rows
        .iter()
        .map(|&number| access(&plans[number]).ranges.as_slice());
    let index = access(&plans[first]).index.id;
    let counts = candidates::count_rows_of_each(view, index, ranges, finds[first].deleted)?;
    for (number, count) in from_rows.into_iter().zip(counts) {
        counted[number] = Some(count);
    }
    Ok(counted)
}
