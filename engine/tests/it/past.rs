//! Every past state is read back exactly, and every revision is listed, whatever happened since.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use thalweg_engine::{
    Commit, Engine, EngineError, ExpiryChange, Intent, OnExpire, Origin, Record, Retain,
    RevisionKind, RevisionOrder, RevisionRange, SettingsChange, Snapshot, Update,
};
use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::MemoryBackend;

use crate::finds::check_page;
use crate::fixture::{SetClock, collection, commit, earlier_images, id, named, settle, stepped};
use crate::world::{self, IDS, Page};

const A: CollectionId = CollectionId(16);
const WINDOW: Duration = Duration::from_secs(5);
const SECOND: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Action {
    Commit(Vec<Write>),
    Pass(u64),
    Configure(SettingsChange),
    Truncate,
}

#[derive(Clone, Debug)]
enum Write {
    Plain(Intent),
    /// Puts a document that expires so many seconds from then.
    Expiring(usize, String, u64, Option<OnExpire>),
    /// Deletes a document softly, to be purged so many seconds from then.
    Purging(usize, u64),
    /// Restores a document to one of the states that were.
    RestoreTo(usize, prop::sample::Index),
}

fn write() -> impl Strategy<Value = Write> {
    let of = 0..IDS.len();
    let on_expire = prop_oneof![
        Just(None),
        Just(Some(OnExpire::Soft)),
        Just(Some(OnExpire::Permanent))
    ];
    prop_oneof![
        8 => world::write(A).prop_map(Write::Plain),
        2 => (of.clone(), world::document(), 0..9u64, on_expire)
            .prop_map(|(of, json, seconds, to)| Write::Expiring(of, json, seconds, to)),
        1 => (of.clone(), 0..9u64).prop_map(|(of, seconds)| Write::Purging(of, seconds)),
        2 => (of, any::<prop::sample::Index>()).prop_map(|(of, to)| Write::RestoreTo(of, to)),
    ]
}

fn change() -> impl Strategy<Value = SettingsChange> {
    let span = || (1..20u64).prop_map(Duration::from_secs);
    let update = || {
        prop_oneof![
            Just(Update::Keep),
            Just(Update::Clear),
            span().prop_map(Update::Set)
        ]
    };
    let retain = prop_oneof![
        Just(Retain::Forever),
        Just(Retain::Nothing),
        span().prop_map(Retain::For)
    ];
    (
        proptest::option::of(retain),
        proptest::option::of(any::<bool>()),
        update(),
        update(),
    )
        .prop_map(|(retain, soft_delete, purge_after, ttl)| SettingsChange {
            retain,
            soft_delete,
            purge_after,
            ttl,
            on_expire: Update::Keep,
        })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => proptest::collection::vec(write(), 1..4).prop_map(Action::Commit),
        4 => (0..8u64).prop_map(Action::Pass),
        1 => change().prop_map(Action::Configure),
        1 => Just(Action::Truncate),
    ]
}

/// What is expected of the past.
#[derive(Default)]
struct Model {
    /// The documents as each commit left them, but for what has been deleted for good since.
    states: Vec<(CommitTs, BTreeMap<String, Record<'static>>)>,
    revisions: BTreeMap<String, Vec<Record<'static>>>,
    emptied: CommitTs,
}

impl Model {
    fn follow(&mut self, commit: &Commit) {
        let mut state = self
            .states
            .last()
            .map_or_else(BTreeMap::new, |(_, state)| state.clone());
        if commit.emptied.contains(&A) {
            state.clear();
            self.states.clear();
            self.revisions.clear();
            self.emptied = commit.ts;
        }
        for change in commit
            .changes
            .iter()
            .filter(|change| change.collection == A)
        {
            let id = change.id.as_str().to_owned();
            if change.erases() {
                for (_, state) in &mut self.states {
                    state.remove(&id);
                }
                self.revisions.remove(&id);
            }
            match &change.after {
                Some(after) => {
                    state.insert(id.clone(), (**after).clone());
                    self.revisions
                        .entry(id)
                        .or_default()
                        .push((**after).clone());
                }
                None => {
                    state.remove(&id);
                }
            }
        }
        self.states.push((commit.ts, state));
    }
}

struct World {
    engine: Engine,
    clock: Arc<SetClock>,
    model: Model,
    seen: CommitTs,
    /// No history may be gone that ended after this.
    gone_max: u64,
}

impl World {
    fn follow(&mut self) {
        for commit in self.engine.recent_commits(self.seen).unwrap() {
            self.seen = commit.ts;
            self.model.follow(&commit);
        }
    }

    /// What may be gone at the latest by the settings of now.
    fn note_retention(&mut self) {
        let retain = self.engine.catalog().by_id(A).unwrap().settings.retain;
        let kept = match retain {
            Retain::Forever => return,
            Retain::For(kept) => kept.max(WINDOW),
            Retain::Nothing => WINDOW,
        };
        let kept = u64::try_from(kept.as_micros()).unwrap();
        let horizon = self.engine.now_micros().saturating_sub(kept);
        self.gone_max = self.gone_max.max(horizon);
    }

    fn intent(&self, write: &Write) -> Intent {
        let in_seconds = |seconds: &u64| self.engine.now_micros() + seconds * SECOND;
        match write {
            Write::Plain(intent) => intent.clone(),
            Write::Expiring(of, json, seconds, on_expire) => Intent::Put {
                collection: named("a"),
                id: Some(id(IDS[*of])),
                document: crate::fixture::document(json),
                expiry: ExpiryChange {
                    at: Update::Set(in_seconds(seconds)),
                    on_expire: on_expire.map_or(Update::Clear, Update::Set),
                },
            },
            Write::Purging(of, seconds) => Intent::Delete {
                collection: A,
                id: id(IDS[*of]),
                permanent: false,
                purge_at: Some(in_seconds(seconds)),
                if_version: None,
            },
            Write::RestoreTo(of, to) => Intent::Restore {
                collection: A,
                id: id(IDS[*of]),
                to: Some(match self.model.states.len() {
                    0 => CommitTs::ZERO,
                    states => self.model.states[to.index(states)].0,
                }),
            },
        }
    }

    async fn act(&mut self, action: &Action) {
        match action {
            Action::Commit(writes) => {
                let intents: Vec<_> = writes.iter().map(|write| self.intent(write)).collect();
                // What does not fit is refused as a whole; the state stays.
                let _ = self
                    .engine
                    .transact(move |transaction| {
                        transaction.set_origin(Origin::by("somebody"));
                        for intent in &intents {
                            transaction.write(intent.clone())?;
                        }
                        Ok(())
                    })
                    .await;
            }
            Action::Pass(seconds) => {
                self.clock.advance(Duration::from_secs(*seconds));
                self.note_retention();
                settle(&self.engine).await;
            }
            Action::Configure(change) => {
                let configure = Intent::Configure {
                    collection: named("a"),
                    change: change.clone(),
                };
                commit(&self.engine, vec![configure]).await.unwrap();
            }
            Action::Truncate => {
                let truncate = Intent::TruncateCollection { name: "a".into() };
                commit(&self.engine, vec![truncate]).await.unwrap();
            }
        }
        self.note_retention();
        self.follow();
    }

    fn check(&self, page: &Page) {
        let now = self.engine.snapshot().unwrap();
        let kept_from = now.kept_from(A).unwrap();
        assert!(kept_from.as_micros() <= self.gone_max.max(self.model.emptied.as_micros()));
        for (index, (ts, state)) in self.model.states.iter().enumerate() {
            check_state(&self.engine, *ts, state, kept_from, page);
            // Between two commits the state is that of the first.
            if let Some((next, _)) = self.model.states.get(index + 1) {
                let last = CommitTs::from_micros(next.as_micros() - 1);
                check_state(&self.engine, last, state, kept_from, page);
            }
        }
        for of in IDS {
            let revisions = self.model.revisions.get(of).map_or(&[][..], Vec::as_slice);
            check_revisions(&now, of, revisions, kept_from);
        }
    }
}

fn shown(record: &Record<'_>) -> String {
    format!("{record:?} {:?} {:?}", record.author(), record.purge_at())
}

fn check_state(
    engine: &Engine,
    at: CommitTs,
    state: &BTreeMap<String, Record<'static>>,
    kept_from: CommitTs,
    page: &Page,
) {
    let snapshot = engine.snapshot_at(at).unwrap();
    if at < kept_from {
        let gone = snapshot.get(A, "0").map(|_| ());
        assert!(matches!(gone, Err(EngineError::HistoryGone { oldest }) if oldest == kept_from));
        let gone = snapshot.document_count(A);
        assert!(matches!(gone, Err(EngineError::HistoryGone { .. })));
        return;
    }
    for of in IDS {
        let found = snapshot.get(A, of).unwrap();
        assert_eq!(
            found.as_ref().map(shown),
            state.get(of).map(shown),
            "{of} at {at}"
        );
    }
    let statistics = snapshot.statistics(A).unwrap();
    let deleted = state.values().filter(|record| record.is_deleted()).count() as u64;
    assert_eq!(
        (statistics.documents, statistics.deleted),
        (state.len() as u64 - deleted, deleted)
    );
    check_page(&snapshot, A, state.values().cloned().collect(), page);
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let part = engine.historical_page(A, at, after.as_deref(), 2).unwrap();
        seen.extend(part.rows.iter().map(shown));
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, state.values().map(shown).collect::<Vec<_>>());
}

/// The names of the members that differ.
fn changed(before: &Record<'_>, after: &Record<'_>) -> Vec<String> {
    let members = |record: &Record<'_>| -> BTreeMap<String, Vec<u8>> {
        let members = record.document().members();
        members
            .map(|(name, value)| (name.to_string(), value.json().to_vec()))
            .collect()
    };
    let (before, after) = (members(before), members(after));
    let names = before.keys().chain(after.keys()).cloned();
    let mut names: Vec<_> = names
        .filter(|name| before.get(name) != after.get(name))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn check_revisions(now: &Snapshot, of: &str, revisions: &[Record<'static>], kept_from: CommitTs) {
    let is_gone = |index: usize| {
        let until = revisions.get(index + 1).map(Record::commit_ts);
        // A revision that the next one did not replace was deleted for good, and its history with it.
        until.is_some_and(|until| until <= kept_from)
    };
    let expected: Vec<String> = (0..revisions.len())
        .filter(|index| !is_gone(*index))
        .map(|index| {
            let record = &revisions[index];
            let kind = record.revision_kind();
            let until = revisions.get(index + 1).map(Record::commit_ts);
            let before = index.checked_sub(1).filter(|before| !is_gone(*before));
            let changed = match (kind, before) {
                (RevisionKind::Created, _) => {
                    let members = record.document().members();
                    let mut names: Vec<_> = members.map(|(name, _)| name.to_string()).collect();
                    names.sort();
                    Some(names)
                }
                (_, Some(before)) => Some(changed(&revisions[before], record)),
                (_, None) => None,
            };
            format!("{} {kind:?} {until:?} {changed:?}", shown(record))
        })
        .collect();
    for order in [RevisionOrder::OldestFirst, RevisionOrder::NewestFirst] {
        let mut range = RevisionRange {
            before: None,
            after: None,
            order,
            limit: 2,
        };
        let mut listed = Vec::new();
        loop {
            let page = now.history(A, of, &range).unwrap();
            assert!(page.revisions.len() <= 2);
            for revision in &page.revisions {
                let changed = revision.changed.clone().map(|mut names| {
                    names.sort();
                    names
                });
                listed.push(format!(
                    "{} {:?} {:?} {changed:?}",
                    shown(&revision.record),
                    revision.kind,
                    revision.until
                ));
            }
            if !page.has_more {
                break;
            }
            let last = page.revisions.last().map(|last| last.record.commit_ts());
            match order {
                RevisionOrder::OldestFirst => range.after = last,
                RevisionOrder::NewestFirst => range.before = last,
            }
        }
        if order == RevisionOrder::NewestFirst {
            listed.reverse();
        }
        assert_eq!(listed, expected, "{of} {order:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_past_is_as_it_was(
        actions in proptest::collection::vec(action(), 1..30),
        page in world::page(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let clock = Arc::new(SetClock::new(1_000 * SECOND));
        let backend = Arc::new(MemoryBackend::new());
        let engine = stepped(backend.clone(), &clock, WINDOW);
        runtime
            .block_on(commit(&engine, vec![Intent::CreateCollection { name: "a".into() }]))
            .unwrap();
        prop_assert_eq!(collection(&engine, "a"), A);
        let mut world = World {
            engine,
            clock,
            model: Model::default(),
            seen: CommitTs::ZERO,
            gone_max: 0,
        };
        world.follow();
        for action in &actions {
            runtime.block_on(world.act(action));
        }
        world.check(&page);
        // Without retention, nothing of the past is left once the window has passed, and nothing else is lost.
        let now = |world: &World| -> Vec<String> {
            let snapshot = world.engine.snapshot().unwrap();
            snapshot.page(A, None, 100).unwrap().rows.iter().map(shown).collect()
        };
        let bare = Action::Configure(SettingsChange {
            retain: Some(Retain::Nothing),
            ttl: Update::Clear,
            purge_after: Update::Clear,
            ..SettingsChange::default()
        });
        for action in [bare, Action::Pass(100)] {
            runtime.block_on(world.act(&action));
        }
        let kept = now(&world);
        for _ in 0..4 {
            let tick = Intent::CreateCollection { name: format!("t{}", world.engine.now_micros()).into() };
            runtime.block_on(commit(&world.engine, vec![tick])).unwrap();
            runtime.block_on(world.act(&Action::Pass(100)));
        }
        prop_assert_eq!(now(&world), kept);
        prop_assert_eq!(earlier_images(&*backend, A), 0);
    }
}
