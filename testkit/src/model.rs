//! The model: what the engine must do, as plainly as it can be said.
//!
//! One transaction after the other is applied to a map of images. Nothing here is shared with the engine but the types
//! of its interface; where both are wrong in the same way, nobody notices, so this stays simple enough to be read.

use std::collections::BTreeSet;
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use thalweg_engine::Deleted;

use crate::document::{Collection, Field, Image, Item, Members};
use crate::history::{Reason, Refusal, StepSeen};
use crate::plan::{Change, Decision, Filter, Observation, Plan, Query, Read, Style, Write, decide};

/// A document: its collection and its id.
pub(crate) type Key = (Collection, String);

/// A state of all collections. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Model {
    images: RedBlackTreeMapSync<Key, Arc<Image>>,
    /// Whether [`Collection::Scratch`] is there.
    has_scratch: bool,
}

/// What running a plan on a state gives.
#[derive(Debug)]
pub struct Run {
    /// What its reads see.
    pub reads: Vec<Observation>,
    /// What its writes do, and the state after it; or why it is refused.
    pub written: Result<Written, Refusal>,
}

/// What writes do.
#[derive(Clone, Debug)]
pub struct Written {
    /// The state after them.
    pub model: Model,
    /// What each did.
    pub steps: Vec<StepSeen>,
    /// Whether they make a commit: a transaction none of whose writes changes anything is none.
    pub commits: bool,
}

impl Model {
    /// Runs a plan on this state, with its writes at `ts`.
    pub fn run(&self, plan: &Plan, ts: u64) -> Run {
        let seen = self.seen_by(plan, ts);
        let reads: Vec<_> = plan
            .reads
            .iter()
            .map(|read| seen.read(read, plan.style))
            .collect();
        let written = self.write(plan, &reads, ts);
        Run { reads, written }
    }

    /// What a plan writes to this state that has read so.
    pub fn write(&self, plan: &Plan, reads: &[Observation], ts: u64) -> Result<Written, Refusal> {
        match decide(plan, reads) {
            Decision::Refuse => Err(Refusal::Guard),
            Decision::Write(writes) => {
                let writes: Vec<Write> = plan.first.iter().cloned().chain(writes).collect();
                self.apply(&writes, ts)
            }
        }
    }

    /// The state that a plan's reads see: with what it writes before them. Where that is refused nobody sees it.
    pub fn seen_by(&self, plan: &Plan, ts: u64) -> Model {
        let written = self.apply(&plan.first, ts);
        written.map_or_else(|_| self.clone(), |written| written.model)
    }

    /// The image of a document.
    pub(crate) fn get(&self, collection: Collection, id: &str) -> Option<&Arc<Image>> {
        self.images.get(&(collection, id.to_owned()))
    }

    /// The documents of which another state has another image.
    pub(crate) fn changed_keys(&self, other: &Model) -> Vec<Key> {
        let differs = |(key, image): &(&Key, &Arc<Image>), of: &Model| {
            of.images
                .get(*key)
                .is_none_or(|other| !Arc::ptr_eq(image, other) && image != &other)
        };
        let here = self.images.iter().filter(|entry| differs(entry, other));
        let there = other.images.iter();
        let there = there.filter(|(key, _)| !self.images.contains_key(*key));
        here.chain(there).map(|(key, _)| key.clone()).collect()
    }

    /// What a read sees in this state.
    pub fn read(&self, read: &Read, style: Style) -> Observation {
        match read {
            Read::Document {
                collection,
                id,
                look,
            } => Observation::Document(
                self.get(*collection, id)
                    .map(|image| (image.is_deleted(), look.see(image))),
            ),
            Read::Page(query) => self.find(query, style),
        }
    }

    fn find(&self, query: &Query, style: Style) -> Observation {
        let from = (query.collection, String::new());
        let mut rows: Vec<(&String, &Arc<Image>)> = self
            .images
            .range(from..)
            .take_while(|((collection, _), _)| *collection == query.collection)
            .map(|((_, id), image)| (id, image))
            .filter(|(_, image)| admits(query.deleted, image) && matches(&query.filter, image))
            .collect();
        let total = rows.len() as u64;
        if let Some((field, descending)) = query.order {
            // Stable, so ties stay in the order of their ids.
            rows.sort_by(|(_, left), (_, right)| {
                let (left, right) = (left.members.get(field), right.members.get(field));
                if descending {
                    right.cmp(&left)
                } else {
                    left.cmp(&right)
                }
            });
        }
        rows.retain(|(id, _)| {
            query.after.as_ref().is_none_or(|after| *id > after)
                && query.before.as_ref().is_none_or(|before| *id < before)
        });
        if query.from_end {
            rows.reverse();
        }
        let more = rows.len() > query.offset + query.limit;
        let mut page: Vec<_> = rows
            .into_iter()
            .skip(query.offset)
            .take(query.limit)
            .map(|(id, image)| (id.clone(), query.look.see(image)))
            .collect();
        let beyond = if query.from_end {
            page.reverse();
            (more, query.before.is_some() || query.offset > 0)
        } else {
            (query.after.is_some() || query.offset > 0, more)
        };
        let on_snapshot = style == Style::Snapshot;
        Observation::Page {
            rows: page,
            beyond: on_snapshot.then_some(beyond),
            total: (on_snapshot && query.total).then_some(total),
        }
    }

    fn apply(&self, writes: &[Write], ts: u64) -> Result<Written, Refusal> {
        let mut draft = Draft {
            model: self.clone(),
            ts,
            written: BTreeSet::new(),
            emptied: BTreeSet::new(),
            left: BTreeSet::new(),
        };
        let mut steps = Vec::with_capacity(writes.len());
        for (step, write) in writes.iter().enumerate() {
            match draft.apply(write) {
                Ok(seen) => steps.push(seen),
                Err(reason) => return Err(Refusal::Write { step, reason }),
            }
        }
        let step = writes.len().saturating_sub(1);
        let kept = draft.keep_policies();
        kept.map_err(|reason| Refusal::Write { step, reason })?;
        let was_there =
            |key: &Key| !draft.emptied.contains(&key.0) && self.images.contains_key(key);
        let commits = !draft.emptied.is_empty()
            || steps.iter().any(|step| step.changed)
            || draft
                .written
                .iter()
                .any(|key| was_there(key) || draft.model.images.contains_key(key));
        Ok(Written {
            model: draft.model,
            steps,
            commits,
        })
    }
}

/// A transaction half done.
struct Draft {
    model: Model,
    ts: u64,
    written: BTreeSet<Key>,
    emptied: BTreeSet<Collection>,
    /// The owners that have gone.
    left: BTreeSet<String>,
}

impl Draft {
    fn apply(&mut self, write: &Write) -> Result<StepSeen, Reason> {
        match write {
            Write::Create(collection, id, members) => {
                if self.shown(*collection, id).is_some() {
                    return Err(Reason::AlreadyExists);
                }
                Ok(self.put(*collection, id, members.clone()))
            }
            Write::Put(collection, id, members) => Ok(self.put(*collection, id, members.clone())),
            Write::Replace(collection, id, members, if_version) => {
                let shown = self.shown(*collection, id);
                check_version(&shown, *if_version)?;
                Ok(match shown {
                    None => nothing(),
                    Some(_) => self.put(*collection, id, members.clone()),
                })
            }
            Write::Patch {
                collection,
                id,
                changes,
                if_version,
                otherwise,
            } => {
                let shown = self.shown(*collection, id);
                check_version(&shown, *if_version)?;
                match (shown, otherwise) {
                    (None, None) => Ok(nothing()),
                    (None, Some(members)) => Ok(self.put(*collection, id, members.clone())),
                    (Some(image), _) => {
                        let members = changed(&image.members, changes)?;
                        Ok(self.put(*collection, id, members))
                    }
                }
            }
            Write::Delete {
                collection,
                id,
                permanent,
                if_version,
            } => {
                let found = if *permanent {
                    self.model.get(*collection, id).cloned()
                } else {
                    self.shown(*collection, id)
                };
                check_version(&found, *if_version)?;
                let Some(before) = found else {
                    return Ok(nothing());
                };
                let after = (!permanent).then(|| self.marked(&before, Some(self.ts)));
                self.write(*collection, id, after.clone());
                Ok(StepSeen {
                    before: Some((*before).clone()),
                    after,
                    changed: true,
                })
            }
            Write::Restore(collection, id) => match self.model.get(*collection, id).cloned() {
                Some(before) if before.is_deleted() => {
                    let after = Some(self.marked(&before, None));
                    self.write(*collection, id, after.clone());
                    Ok(StepSeen {
                        before: None,
                        after,
                        changed: true,
                    })
                }
                image => Ok(unchanged(image)),
            },
            Write::Drop(_) if !self.model.has_scratch => Err(Reason::NoSuchCollection),
            Write::Truncate(collection) | Write::Drop(collection) => {
                if matches!(write, Write::Drop(_)) {
                    self.model.has_scratch = false;
                }
                if *collection == Collection::Owners {
                    self.leave_all();
                    self.keep_policies_of(|_, _| true)?;
                }
                let keys: Vec<Key> = self
                    .model
                    .images
                    .keys()
                    .filter(|(of, _)| of == collection)
                    .cloned()
                    .collect();
                for key in keys {
                    self.model.images.remove_mut(&key);
                }
                self.emptied.insert(*collection);
                Ok(StepSeen {
                    changed: true,
                    ..nothing()
                })
            }
        }
    }

    /// All owners are about to go.
    fn leave_all(&mut self) {
        let keys = self.model.images.iter();
        let owners =
            keys.filter(|((of, _), image)| *of == Collection::Owners && !image.is_deleted());
        self.left.extend(owners.map(|((_, id), _)| id.clone()));
    }

    /// What pets do about the owners that have gone.
    fn keep_policies(&mut self) -> Result<(), Reason> {
        self.keep_policies_of(|draft, id| draft.shown(Collection::Owners, id).is_none())
    }

    fn keep_policies_of(&mut self, is_gone: impl Fn(&Self, &str) -> bool) -> Result<(), Reason> {
        let left = std::mem::take(&mut self.left);
        let gone: BTreeSet<String> = left.into_iter().filter(|id| is_gone(self, id)).collect();
        let naming = |draft: &Self, field: Field| -> Vec<(String, Arc<Image>)> {
            let pets = draft.model.images.iter();
            let pets = pets.filter(|((of, _), image)| {
                *of == Collection::Pets
                    && !image.is_deleted()
                    && matches!(image.members.get(field), Some(Item::Text(owner)) if gone.contains(owner))
            });
            pets.map(|((_, id), image)| (id.clone(), Arc::clone(image)))
                .collect()
        };
        for (id, image) in naming(self, Field::Owner) {
            let deleted = self.marked(&image, Some(self.ts));
            self.write(Collection::Pets, &id, Some(deleted));
        }
        for (id, image) in naming(self, Field::Friend) {
            let mut members = image.members.clone();
            members.set(Field::Friend, Item::Other("null".to_owned()));
            self.put(Collection::Pets, &id, members);
        }
        match naming(self, Field::Warden).is_empty() {
            true => Ok(()),
            false => Err(Reason::Restricted),
        }
    }

    fn shown(&self, collection: Collection, id: &str) -> Option<Arc<Image>> {
        let image = self.model.get(collection, id)?;
        (!image.is_deleted()).then(|| Arc::clone(image))
    }

    fn put(&mut self, collection: Collection, id: &str, members: Members) -> StepSeen {
        self.model.has_scratch |= collection == Collection::Scratch;
        let before = self.model.get(collection, id).cloned();
        let shown = self.shown(collection, id);
        if shown.as_ref().is_some_and(|shown| shown.members == members) {
            return unchanged(shown);
        }
        let after = Some(Image {
            commit_ts: self.ts,
            created_at: shown.as_ref().map_or(self.ts, |shown| shown.created_at),
            version: self.next_version(before.as_ref()),
            deleted_at: None,
            members,
        });
        self.write(collection, id, after.clone());
        StepSeen {
            before: shown.map(|shown| (*shown).clone()),
            after,
            changed: true,
        }
    }

    fn marked(&self, before: &Arc<Image>, deleted_at: Option<u64>) -> Image {
        Image {
            commit_ts: self.ts,
            version: self.next_version(Some(before)),
            deleted_at,
            ..(**before).clone()
        }
    }

    /// One version for each commit, however often it writes the document.
    fn next_version(&self, before: Option<&Arc<Image>>) -> u64 {
        match before {
            None => 1,
            Some(before) if before.commit_ts == self.ts => before.version,
            Some(before) => before.version + 1,
        }
    }

    fn write(&mut self, collection: Collection, id: &str, after: Option<Image>) {
        let key = (collection, id.to_owned());
        let shows = |image: &Image| !image.is_deleted();
        let showed = self
            .model
            .images
            .get(&key)
            .is_some_and(|image| shows(image));
        if collection == Collection::Owners && showed && !after.as_ref().is_some_and(shows) {
            self.left.insert(id.to_owned());
        }
        match after {
            Some(image) => self.model.images.insert_mut(key.clone(), Arc::new(image)),
            None => {
                self.model.images.remove_mut(&key);
            }
        }
        self.written.insert(key);
    }
}

fn nothing() -> StepSeen {
    StepSeen {
        before: None,
        after: None,
        changed: false,
    }
}

fn unchanged(image: Option<Arc<Image>>) -> StepSeen {
    let image = image.map(|image| (*image).clone());
    StepSeen {
        before: image.clone(),
        after: image,
        changed: false,
    }
}

fn check_version(image: &Option<Arc<Image>>, if_version: Option<u64>) -> Result<(), Reason> {
    let found = image.as_ref().map(|image| image.version);
    match if_version {
        Some(_) if found != if_version => Err(Reason::Version { found }),
        _ => Ok(()),
    }
}

fn changed(members: &Members, changes: &[Change]) -> Result<Members, Reason> {
    let mut members = members.clone();
    for change in changes {
        match change {
            Change::Set(field, item) => members.set(*field, item.clone()),
            Change::Remove(field) => members.0.retain(|(name, _)| name != field),
            Change::Add(field, by) => {
                let sum = match members.get(*field) {
                    None => *by,
                    Some(Item::Int(number)) => number + by,
                    Some(_) => return Err(Reason::NotANumber),
                };
                members.set(*field, Item::Int(sum));
            }
            Change::Push(field, item) => {
                let mut items = list(&members, *field)?.unwrap_or_default();
                items.push(*item);
                members.set(*field, Item::List(items));
            }
            Change::AddToSet(field, item) => {
                let mut items = list(&members, *field)?.unwrap_or_default();
                if !items.contains(item) {
                    items.push(*item);
                }
                members.set(*field, Item::List(items));
            }
            Change::Pull(field, item) => {
                if let Some(mut items) = list(&members, *field)? {
                    items.retain(|held| held != item);
                    members.set(*field, Item::List(items));
                }
            }
        }
    }
    Ok(members)
}

fn list(members: &Members, field: Field) -> Result<Option<Vec<i64>>, Reason> {
    match members.get(field) {
        None => Ok(None),
        Some(Item::List(items)) => Ok(Some(items.clone())),
        Some(_) => Err(Reason::NotAList),
    }
}

fn admits(deleted: Deleted, image: &Image) -> bool {
    match deleted {
        Deleted::Exclude => !image.is_deleted(),
        Deleted::Include => true,
        Deleted::Only => image.is_deleted(),
    }
}

fn matches(filter: &Filter, image: &Image) -> bool {
    let int = |field: Field| match image.members.get(field) {
        Some(Item::Int(number)) => Some(*number),
        _ => None,
    };
    match filter {
        Filter::All => true,
        Filter::Equals(field, item) => image.members.get(*field) == Some(item),
        Filter::AtLeast(field, least) => int(*field).is_some_and(|number| number >= *least),
        Filter::Below(field, end) => int(*field).is_some_and(|number| number < *end),
        Filter::Holds(field, item) => match image.members.get(*field) {
            Some(Item::List(items)) => items.contains(item),
            _ => false,
        },
        Filter::Not(other) => !matches(other, image),
        Filter::Both(both) => matches(&both.0, image) && matches(&both.1, image),
    }
}
