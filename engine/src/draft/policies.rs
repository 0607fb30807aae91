//! What becomes of the documents that name one which goes: the referential policies that relations declare.
//!
//! A document *leaves* where it no longer shows (deleted, softly or for good, by whomever) or where another value takes the place
//! of the one that it is named by. What has left is gathered, and at the end of each statement ([`Draft::keep_policies`])
//! the documents that still name it are looked for, on the state that the transaction has come to: the committer does this at the
//! transaction's place in the order, so whoever names a document in an earlier commit is found, and nothing that is
//! committed later can be missed. What cascades is deleted and so may leave in its turn, until nothing does; a document leaves
//! once, so circles end. What restricts is checked last, when all that goes has gone.

use std::sync::Arc;

use thalweg_model::{CollectionId, DocumentId, Patch, Value};
use thalweg_schema_infer::{OnDelete, RelationKey};

use super::{ApplyError, Draft};
use crate::declared::Way;
use crate::dependency::{Dependency, Scope};
use crate::error::{EngineError, IntentError, TransactionError};
use crate::field::FieldMask;
use crate::find::{Choice, Deleted, Find};
use crate::group::{DocumentKey, Image};
use crate::intent::ExpiryChange;
use crate::order::Position;
use crate::policy::{Policies, Policy, id_of_name};
use crate::predicate::Predicate;
use crate::record::Record;

/// For how many names documents are looked for at once.
const NAMES_MAX: usize = 256;
/// How many documents are read at once.
const PAGE_MAX: usize = 512;
/// How many documents that keep others from going are told.
const TOLD_MAX: usize = 10;

/// A document that has left.
#[derive(Clone)]
pub(super) struct Leaving {
    key: DocumentKey,
    /// Its last image that had the name.
    before: Arc<Record<'static>>,
    /// Whether it is gone, rather than named by something else.
    is_gone: bool,
}

/// What restricts, to be looked at when all that goes has gone.
struct Restriction {
    target: CollectionId,
    policy: Arc<Policy>,
    names: Vec<Value>,
}

impl Draft<'_> {
    /// Notes that a write makes a document leave, where somebody may name it.
    pub(super) fn note_leaving(
        &mut self,
        key: &DocumentKey,
        before: &Arc<Record<'static>>,
        after: &Image,
    ) {
        let policies = self.catalog().policies().about(key.0);
        if policies.is_empty() || before.is_deleted() {
            return;
        }
        let stays = after.as_deref().filter(|after| !after.is_deleted());
        if let Some(after) = stays {
            let keeps = |policy: &Arc<Policy>| policy.names_of(before) == policy.names_of(after);
            if policies.iter().all(keeps) {
                return;
            }
        }
        self.leaving.push(Leaving {
            key: key.clone(),
            before: Arc::clone(before),
            is_gone: stays.is_none(),
        });
    }

    pub(crate) fn policies(&self) -> &Policies {
        self.catalog().policies()
    }

    /// Ends a statement after so many steps: carries out the policies about what it made leave.
    pub(crate) fn end_statement(&mut self, steps: usize) -> Result<(), TransactionError> {
        if self.leaving.is_empty() {
            return Ok(());
        }
        let kept = self.within_bounds(Self::keep_policies);
        kept.map_err(|error| error.at(steps.saturating_sub(1)))
    }

    /// Looks for documents at the place in the order, where it holds up all others: within bounds. Elsewhere whoever
    /// runs the transaction has set them.
    fn within_bounds<T>(
        &mut self,
        look: impl FnOnce(&mut Self) -> Result<T, ApplyError>,
    ) -> Result<T, ApplyError> {
        if !self.ground.is_group() {
            return look(self);
        }
        let base = self.ground.base;
        base.limit_reads(Some(self.rules.line_documents_max));
        let done = look(self);
        base.limit_reads(None);
        match done {
            Err(ApplyError::Engine(EngineError::TooManyReads)) => Err(IntentError::TooManyFollow {
                documents_max: self.rules.policy_writes_max,
            }
            .into()),
            done => done,
        }
    }

    /// Carries out the policies about what has left since the last time.
    fn keep_policies(&mut self) -> Result<(), ApplyError> {
        let mut restrictions = Vec::new();
        while !self.leaving.is_empty() {
            let left = std::mem::take(&mut self.leaving);
            let mut targets: Vec<CollectionId> = left.iter().map(|left| left.key.0).collect();
            targets.sort_unstable();
            targets.dedup();
            for target in targets {
                for policy in &*self.catalog().policies().shared_about(target) {
                    let of_target = left.iter().filter(|left| left.key.0 == target);
                    self.keep_policy(target, policy, of_target, &mut restrictions)?;
                }
            }
        }
        for restriction in restrictions {
            self.check(&restriction)?;
        }
        Ok(())
    }

    /// Makes a document leave whose time has come, or says `false` and changes nothing where others keep it.
    pub(super) fn try_leave(
        &mut self,
        key: &DocumentKey,
        before: &Arc<Record<'static>>,
        after: &Image,
    ) -> Result<bool, ApplyError> {
        if self.policies().about(key.0).is_empty() {
            self.write(key.clone(), after.clone());
            return Ok(true);
        }
        let saved = (
            self.drafted.own.clone(),
            self.drafted.written.clone(),
            (self.bytes, self.policy_writes),
        );
        self.write_step(key.clone(), Some(Arc::clone(before)), after.clone());
        match self.within_bounds(Self::keep_policies) {
            Ok(()) => Ok(true),
            Err(ApplyError::Intent(
                IntentError::Restricted { .. } | IntentError::TooManyFollow { .. },
            )) => {
                let (own, written, counts) = saved;
                (self.drafted.own, self.drafted.written) = (own, written);
                (self.bytes, self.policy_writes) = counts;
                self.leaving.clear();
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn keep_policy<'l>(
        &mut self,
        target: CollectionId,
        policy: &Arc<Policy>,
        left: impl Iterator<Item = &'l Leaving>,
        restrictions: &mut Vec<Restriction>,
    ) -> Result<(), ApplyError> {
        let (mut gone, mut renamed) = (Vec::new(), Vec::new());
        for left in left {
            let names = if left.is_gone {
                &mut gone
            } else {
                &mut renamed
            };
            names.extend(self.names_left(target, policy, left)?);
        }
        let mut restrict = |names: &[Value]| {
            restrictions.push(Restriction {
                target,
                policy: Arc::clone(policy),
                names: names.to_vec(),
            });
        };
        for names in gone.chunks(NAMES_MAX) {
            match policy.on_delete {
                OnDelete::NoAction => {}
                OnDelete::Restrict => restrict(names),
                OnDelete::SetNull => self.unname(policy, names)?,
                OnDelete::Cascade => self.cascade(policy, names)?,
            }
        }
        // Who names by a value that has become another one is not to be deleted for that.
        for names in renamed.chunks(NAMES_MAX) {
            match policy.on_delete {
                OnDelete::NoAction => {}
                OnDelete::Restrict | OnDelete::Cascade => restrict(names),
                OnDelete::SetNull => self.unname(policy, names)?,
            }
        }
        Ok(())
    }

    /// By what a document was named that nothing has for a name now.
    fn names_left(
        &mut self,
        target: CollectionId,
        policy: &Policy,
        left: &Leaving,
    ) -> Result<Vec<Value>, ApplyError> {
        let names = policy.names_of(&left.before);
        if let Some(now) = self.shown(&left.key)?
            && policy.names_of(&now) == names
        {
            return Ok(Vec::new());
        }
        let Some(same) = policy.named(names.clone()) else {
            return Ok(names);
        };
        let (others, _) = self.look(target, same, None, 1)?;
        Ok(if others.is_empty() { names } else { Vec::new() })
    }

    /// Deletes the documents that name one of these, as their collection deletes.
    fn cascade(&mut self, policy: &Policy, names: &[Value]) -> Result<(), ApplyError> {
        self.change_each(policy, names, |draft, record| {
            let id = id_of(&record)?;
            draft.delete((policy.source, id), false, None, None)?;
            Ok(())
        })
    }

    /// Makes the documents that name one of these name it no longer.
    fn unname(&mut self, policy: &Policy, names: &[Value]) -> Result<(), ApplyError> {
        let patch = Patch {
            operations: vec![policy.unname(names.to_vec())],
        };
        self.change_each(policy, names, |draft, record| {
            let key = (policy.source, id_of(&record)?);
            let document = record.to_document()?;
            let patched = thalweg_model::apply(&document, &patch).map_err(IntentError::Patch)?;
            let way = Way::Patch(document.root());
            draft.put_in(way, key, &patched, ExpiryChange::KEEP)?;
            Ok(())
        })
    }

    /// Changes the documents that name one of these, page by page: those that are changed name it no longer.
    fn change_each(
        &mut self,
        policy: &Policy,
        names: &[Value],
        change: impl Fn(&mut Self, Record<'static>) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        loop {
            let naming = policy.naming(names.to_vec());
            let (rows, _) = self.look(policy.source, naming, None, PAGE_MAX)?;
            if rows.is_empty() {
                return Ok(());
            }
            for record in rows {
                let documents_max = self.rules.policy_writes_max;
                if self.policy_writes == documents_max {
                    return Err(IntentError::TooManyFollow { documents_max }.into());
                }
                self.policy_writes += 1;
                change(self, record)?;
            }
        }
    }

    fn check(&mut self, restriction: &Restriction) -> Result<(), ApplyError> {
        let Restriction {
            target,
            policy,
            names,
        } = restriction;
        let naming = policy.naming(names.clone());
        let (rows, count) = self.look(policy.source, naming, None, TOLD_MAX)?;
        match rows.is_empty() {
            true => Ok(()),
            false => Err(self.restricted(*target, policy, count, &rows)),
        }
    }

    fn restricted(
        &self,
        target: CollectionId,
        policy: &Policy,
        count: u64,
        rows: &[Record<'_>],
    ) -> ApplyError {
        let ids = rows.iter().take(TOLD_MAX);
        let restricted = IntentError::Restricted {
            target: self.name_of(target).into(),
            collection: self.name_of(policy.source).into(),
            field: policy.field.to_string().into(),
            count,
            ids: ids.map(|row| row.id().to_owned()).collect(),
        };
        restricted.into()
    }

    /// Carries out the policies about all documents of a collection, which is about to be emptied at once.
    pub(super) fn empty_policies(&mut self, target: CollectionId) -> Result<(), ApplyError> {
        match self.policies().about(target).is_empty() {
            true => Ok(()),
            false => self.within_bounds(|draft| draft.keep_policies_of_all(target)),
        }
    }

    fn keep_policies_of_all(&mut self, target: CollectionId) -> Result<(), ApplyError> {
        self.keep_policies()?;
        for policy in &*self.catalog().policies().shared_about(target) {
            if policy.source == target {
                continue;
            }
            let mut after = None;
            let (mut told, mut count) = (Vec::new(), 0);
            loop {
                let (rows, _) = self.look(policy.source, policy.naming_any(), after, PAGE_MAX)?;
                let Some(last) = rows.last() else {
                    break;
                };
                after = Some(Position::of(last, &[]));
                let named = rows.iter().flat_map(|row| policy.named_by(row)).collect();
                let there = self.there(target, policy, named)?;
                if there.is_empty() {
                    continue;
                }
                match policy.on_delete {
                    OnDelete::NoAction => {}
                    OnDelete::SetNull => self.unname(policy, &there)?,
                    OnDelete::Cascade => self.cascade(policy, &there)?,
                    OnDelete::Restrict => {
                        let names_one = |row: &Record<'_>| {
                            policy.named_by(row).iter().any(|name| there.contains(name))
                        };
                        for row in rows.into_iter().filter(names_one) {
                            count += 1;
                            if told.len() < TOLD_MAX {
                                told.push(row);
                            }
                        }
                    }
                }
            }
            if count > 0 {
                return Err(self.restricted(target, policy, count, &told));
            }
        }
        Ok(())
    }

    /// Those of the names that documents of the target have.
    fn there(
        &mut self,
        target: CollectionId,
        policy: &Policy,
        mut names: Vec<Value>,
    ) -> Result<Vec<Value>, ApplyError> {
        names.sort_by(|one, other| one.json().cmp(other.json()));
        names.dedup();
        let mut there = Vec::new();
        if policy.key == RelationKey::Id {
            for name in names {
                let Some(id) = id_of_name(&name) else {
                    continue;
                };
                self.dependencies.read(Dependency {
                    collection: target,
                    scope: Scope::Document(id.clone()),
                    mask: FieldMask::none(),
                });
                if self.shown(&(target, id))?.is_some() {
                    there.push(name);
                }
            }
            return Ok(there);
        }
        for names in names.chunks(NAMES_MAX) {
            if let Some(named) = policy.named(names.to_vec()) {
                let (rows, _) = self.look(target, named, None, usize::MAX - 1)?;
                there.extend(rows.iter().flat_map(|row| policy.names_of(row)));
            }
        }
        Ok(there)
    }

    /// The first documents that satisfy a filter, in the order of their ids, on the state that the transaction has come to;
    /// and how many do.
    fn look(
        &mut self,
        collection: CollectionId,
        filter: Predicate,
        after: Option<Position>,
        limit: usize,
    ) -> Result<(Vec<Record<'static>>, u64), EngineError> {
        let find = Find {
            collection,
            filter: Arc::new(filter),
            deleted: Deleted::Exclude,
            order: Arc::from([]),
            after,
            before: None,
            offset: 0,
            limit,
            from_end: false,
            count_total: limit == TOLD_MAX,
            read: FieldMask::all(),
        };
        let own = Some(&self.drafted.own);
        let found = self.ground.base.find_under(own, &find, Choice::Any)?;
        self.dependencies.merge(found.dependencies);
        let rows = found.rows.into_iter().map(Record::into_owned).collect();
        Ok((rows, found.total.unwrap_or_default()))
    }
}

fn id_of(record: &Record<'_>) -> Result<DocumentId, EngineError> {
    DocumentId::new(record.id()).map_err(|_| EngineError::Corrupt { what: "id" })
}
