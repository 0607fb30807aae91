//! Documents expire and are purged when their time has come, whatever the wall clock does, and nothing else is.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{
    Engine, ExpiryChange, Intent, OnExpire, RevisionKind, SettingsChange, Update, UpkeepStep,
};
use thalweg_model::{CollectionId, ErrorCode};
use thalweg_storage::{Backend, MemoryBackend};

use crate::fixture::{
    SetClock, collection, commit, create, document, earlier_images, id, named, patch, set, settle,
    stepped,
};

const SECOND: u64 = 1_000_000;
const START: u64 = 2_000_000_000 * SECOND;
const WINDOW: Duration = Duration::from_secs(60);

struct World {
    backend: Arc<MemoryBackend>,
    clock: Arc<SetClock>,
    engine: Engine,
}

impl World {
    fn new() -> World {
        let backend = Arc::new(MemoryBackend::new());
        let clock = Arc::new(SetClock::new(START));
        let engine = stepped(backend.clone(), &clock, WINDOW);
        World {
            backend,
            clock,
            engine,
        }
    }

    async fn commit(&self, intents: Vec<Intent>) {
        commit(&self.engine, intents).await.unwrap();
    }

    async fn configure(&self, change: SettingsChange) {
        let collection = named("a");
        self.commit(vec![Intent::Configure { collection, change }])
            .await;
    }

    fn a(&self) -> CollectionId {
        collection(&self.engine, "a")
    }

    async fn pass(&self, seconds: u64) -> Option<u64> {
        self.clock.advance(Duration::from_secs(seconds));
        settle(&self.engine).await
    }

    /// `version kind` of a document, or nothing.
    fn state(&self, of: &str) -> Option<String> {
        let snapshot = self.engine.snapshot().unwrap();
        let record = snapshot.get(self.a(), of).unwrap()?;
        let (version, kind) = (record.version(), record.revision_kind());
        Some(format!("{version} {kind:?}"))
    }

    fn counts(&self) -> (u64, u64) {
        let snapshot = self.engine.snapshot().unwrap();
        let statistics = snapshot.statistics(self.a()).unwrap();
        (statistics.documents, statistics.deleted)
    }

    /// How many entries wait for their time.
    fn dues(&self) -> usize {
        let mut dues = 0;
        let from = std::ops::Bound::Included(&[0, 0, 0, 0, 0x60][..]);
        let to = std::ops::Bound::Excluded(&[0, 0, 0, 0, 0x61][..]);
        let snapshot = self.backend.snapshot().unwrap();
        snapshot
            .scan(
                from,
                to,
                thalweg_storage::Direction::Forward,
                &mut |_, _| {
                    dues += 1;
                    std::ops::ControlFlow::Continue(())
                },
            )
            .unwrap();
        dues
    }
}

fn expiring(of: &str, at: u64, on_expire: Update<OnExpire>) -> Intent {
    Intent::Put {
        collection: named("a"),
        id: Some(id(of)),
        document: document("{}"),
        expiry: ExpiryChange {
            at: Update::Set(at),
            on_expire,
        },
    }
}

fn ttl(seconds: u64) -> SettingsChange {
    SettingsChange {
        ttl: Update::Set(Duration::from_secs(seconds)),
        ..SettingsChange::default()
    }
}

#[tokio::test]
async fn a_document_expires_at_its_time() {
    let world = World::new();
    let soon = START + 10 * SECOND;
    let documents = [
        expiring("soft", soon, Update::Keep),
        expiring("hard", soon, Update::Set(OnExpire::Permanent)),
        expiring("later", START + 20 * SECOND, Update::Keep),
        create("a", r#"{"id":"never"}"#),
    ];
    world.commit(documents.to_vec()).await;
    assert_eq!(settle(&world.engine).await, Some(soon));
    assert_eq!(world.counts(), (4, 0));
    world.pass(10).await;
    assert_eq!(world.state("soft").unwrap(), "2 Expired");
    assert_eq!(world.state("hard"), None);
    assert_eq!(world.state("later").unwrap(), "1 Created");
    assert_eq!(world.counts(), (2, 1));
    let snapshot = world.engine.snapshot().unwrap();
    let expired = snapshot.get(world.a(), "soft").unwrap().unwrap();
    assert_eq!(expired.author(), Some("system:expiry"));
    assert_eq!(expired.expires_at(), Some(soon));
    drop(expired);
    world.pass(1000).await;
    assert_eq!(world.counts(), (1, 2));
    assert_eq!(world.dues(), 0);
}

#[tokio::test]
async fn what_is_written_meanwhile_decides() {
    let world = World::new();
    let soon = START + 10 * SECOND;
    for of in ["postponed", "cleared", "kept"] {
        world.commit(vec![expiring(of, soon, Update::Keep)]).await;
    }
    let change = |of: &str, at| Intent::Patch {
        collection: world.a(),
        id: id(of),
        patch: thalweg_model::Patch {
            operations: vec![set("n", "1")],
        },
        if_version: None,
        otherwise: None,
        expiry: ExpiryChange {
            at,
            on_expire: Update::Keep,
        },
    };
    let changes = [
        change("postponed", Update::Set(soon + SECOND)),
        change("cleared", Update::Clear),
        change("kept", Update::Keep),
    ];
    world.commit(changes.to_vec()).await;
    assert_eq!(world.dues(), 2);
    world.pass(10).await;
    assert_eq!(world.state("postponed").unwrap(), "2 Updated");
    assert_eq!(world.state("kept").unwrap(), "3 Expired");
    world.pass(10).await;
    assert_eq!(world.state("postponed").unwrap(), "3 Expired");
    assert_eq!(world.state("cleared").unwrap(), "2 Updated");
    // What comes back does not go at once for the same reason.
    let restore = Intent::Restore {
        collection: world.a(),
        id: id("kept"),
        to: None,
    };
    world.commit(vec![restore]).await;
    world.pass(10).await;
    assert_eq!(world.state("kept").unwrap(), "4 Restored");
}

#[tokio::test]
async fn a_ttl_counts_from_the_last_write_and_holds_for_what_is_there() {
    let world = World::new();
    let documents = (0..2500).map(|n| create("a", &format!(r#"{{"id":"{n}"}}"#)));
    world.commit(documents.collect()).await;
    world
        .commit(vec![expiring("own", START + 1000 * SECOND, Update::Keep)])
        .await;
    world.clock.advance(Duration::from_secs(10));
    world
        .commit(vec![patch(world.a(), "7", vec![set("n", "1")])])
        .await;
    world.configure(ttl(30)).await;
    // In pages; a restart between them loses nothing.
    for _ in 0..2 {
        world.engine.upkeep_step().await.unwrap();
    }
    assert!((1..2500).contains(&world.dues()), "{}", world.dues());
    world.engine.close();
    let engine = stepped(world.backend.clone(), &world.clock, WINDOW);
    let world = World { engine, ..world };
    assert_eq!(world.pass(19).await, Some(START + 30 * SECOND));
    assert_eq!((world.counts(), world.dues()), ((2501, 0), 2501));
    world.pass(1).await;
    assert_eq!(world.counts(), (2, 2499));
    world.pass(10).await;
    assert_eq!(world.counts(), (1, 2500));
    // A longer one holds too, for those that are still there.
    world.commit(vec![create("a", r#"{"id":"new"}"#)]).await;
    world.configure(ttl(500)).await;
    world.pass(31).await;
    assert_eq!(world.counts(), (2, 2500));
    let none = SettingsChange {
        ttl: Update::Clear,
        ..SettingsChange::default()
    };
    world.configure(none).await;
    world.pass(2000).await;
    assert_eq!(world.counts(), (1, 2501), "the one that names its time");
    assert_eq!(world.dues(), 0);
}

#[tokio::test]
async fn what_is_deleted_is_purged_with_its_history() {
    let world = World::new();
    for of in ["named", "policy", "back", "live"] {
        let json = format!(r#"{{"id":"{of}"}}"#);
        world.commit(vec![create("a", &json)]).await;
    }
    let before = world.engine.snapshot().unwrap().ts();
    let delete = |of: &str, purge_at| Intent::Delete {
        collection: world.a(),
        id: id(of),
        permanent: false,
        purge_at,
        if_version: None,
    };
    let named = world.engine.now_micros() + 5 * SECOND;
    let deletes = [
        delete("named", Some(named)),
        delete("policy", None),
        delete("back", None),
    ];
    world.commit(deletes.to_vec()).await;
    let next = world.pass(6).await.unwrap();
    assert!(
        next.abs_diff(START + 66 * SECOND) < 1000,
        "its history, {next}"
    );
    assert_eq!((world.state("named"), world.counts()), (None, (1, 2)));
    // A policy that comes later holds for what is there.
    world
        .configure(SettingsChange {
            purge_after: Update::Set(Duration::from_secs(10)),
            ..SettingsChange::default()
        })
        .await;
    let restore = Intent::Restore {
        collection: world.a(),
        id: id("back"),
        to: None,
    };
    world.commit(vec![restore]).await;
    world.pass(5).await;
    assert_eq!(world.state("back").unwrap(), "3 Restored");
    assert_eq!((world.state("policy"), world.counts()), (None, (2, 0)));
    // The past of both is hidden at once, and erased when the window has passed.
    let past = world.engine.snapshot_at(before).unwrap();
    for (of, is_there) in [("named", false), ("policy", false), ("back", true)] {
        assert_eq!(past.get(world.a(), of).unwrap().is_some(), is_there, "{of}");
    }
    assert_eq!(past.document_count(world.a()).unwrap(), 2);
    assert_eq!(earlier_images(&*world.backend, world.a()), 2 + 4 + 2);
    world.pass(100).await;
    assert_eq!(earlier_images(&*world.backend, world.a()), 2);
}

#[tokio::test]
async fn a_document_of_the_same_id_begins_anew_after_a_permanent_deletion() {
    let world = World::new();
    world.commit(vec![create("a", r#"{"id":"x","n":1}"#)]).await;
    let a = world.a();
    world.commit(vec![patch(a, "x", vec![set("n", "2")])]).await;
    let before = world.engine.snapshot().unwrap().ts();
    let delete = Intent::Delete {
        collection: a,
        id: id("x"),
        permanent: true,
        purge_at: None,
        if_version: None,
    };
    // In one transaction, so that no image says that it was gone.
    world
        .commit(vec![delete.clone(), create("a", r#"{"id":"x","n":3}"#)])
        .await;
    assert_eq!(world.state("x").unwrap(), "1 Created");
    let past = world.engine.snapshot_at(before).unwrap();
    assert!(past.get(a, "x").unwrap().is_none());
    world.commit(vec![patch(a, "x", vec![set("n", "4")])]).await;
    let range = thalweg_engine::RevisionRange {
        before: None,
        after: None,
        order: thalweg_engine::RevisionOrder::NewestFirst,
        limit: 10,
    };
    let kinds = |world: &World| -> Vec<RevisionKind> {
        let snapshot = world.engine.snapshot().unwrap();
        let listed = snapshot.history(a, "x", &range).unwrap();
        listed
            .revisions
            .iter()
            .map(|revision| revision.kind)
            .collect()
    };
    let both = [RevisionKind::Updated, RevisionKind::Created];
    assert_eq!(kinds(&world), both);
    // Deleted again while the first deletion's images still lie there.
    world.clock.advance(Duration::from_secs(30));
    world.commit(vec![delete]).await;
    world.commit(vec![create("a", r#"{"id":"x","n":5}"#)]).await;
    world.pass(31).await;
    assert_eq!(kinds(&world), [RevisionKind::Created]);
    assert_eq!(earlier_images(&*world.backend, a), 1 + 2, "the second's");
    world.pass(31).await;
    assert_eq!(kinds(&world), [RevisionKind::Created]);
    assert_eq!(earlier_images(&*world.backend, a), 0);
}

#[tokio::test]
async fn without_soft_deletion_every_deletion_is_permanent() {
    let world = World::new();
    world
        .configure(SettingsChange {
            soft_delete: Some(false),
            ..SettingsChange::default()
        })
        .await;
    let documents = [
        create("a", r#"{"id":"x"}"#),
        expiring("expires", START + SECOND, Update::Keep),
        expiring("softly", START + SECOND, Update::Set(OnExpire::Soft)),
    ];
    world.commit(documents.to_vec()).await;
    let delete = |purge_at| Intent::Delete {
        collection: world.a(),
        id: id("x"),
        permanent: false,
        purge_at,
        if_version: None,
    };
    let refused = commit(&world.engine, vec![delete(Some(START + SECOND))]).await;
    assert_eq!(refused.unwrap_err().code(), ErrorCode::BadRequest);
    world.commit(vec![delete(None)]).await;
    world.pass(2).await;
    assert_eq!((world.state("x"), world.state("expires")), (None, None));
    assert_eq!(world.state("softly").unwrap(), "2 Expired");
}

#[tokio::test]
async fn a_clock_that_jumps_expires_and_resurrects_nothing() {
    let world = World::new();
    world.configure(ttl(3600)).await;
    world.commit(vec![create("a", r#"{"id":"x"}"#)]).await;
    let years = 10 * 365 * 86_400 * SECOND;
    // Ahead: refused and told, and time goes on by itself.
    world.clock.set_wall(START + years);
    world.pass(10).await;
    assert_eq!(world.counts(), (1, 0));
    let alarm = world.engine.clock_alarm().unwrap();
    assert_eq!(alarm.wall_micros, START + years + 10 * SECOND);
    assert_eq!(alarm.engine_micros, START + 10 * SECOND);
    // Back, and far behind: nothing is told, time goes on.
    world.clock.set_wall(START - years);
    assert_eq!(world.engine.clock_alarm(), None);
    world.pass(10).await;
    assert_eq!(
        (world.counts(), world.engine.now_micros()),
        ((1, 0), START + 20 * SECOND)
    );
    world.pass(3600).await;
    assert_eq!(world.counts(), (0, 1));
    // A restart under the wrong clock: time stands no earlier than what was written.
    let head = world.engine.snapshot().unwrap().ts().as_micros();
    world.engine.close();
    let engine = stepped(world.backend.clone(), &world.clock, WINDOW);
    let world = World { engine, ..world };
    assert_eq!(world.engine.now_micros(), head);
    world.commit(vec![create("a", r#"{"id":"y"}"#)]).await;
    world.pass(3599).await;
    assert_eq!(
        (world.counts(), world.state("x").unwrap().as_str()),
        ((1, 1), "2 Expired")
    );
    world.pass(2).await;
    assert_eq!(world.counts(), (0, 2));
    // Somebody says that the clock is right.
    world.commit(vec![create("a", r#"{"id":"z"}"#)]).await;
    world.clock.set_wall(START + years);
    world.pass(0).await;
    assert_eq!(world.counts(), (1, 2));
    world.engine.confirm_clock();
    assert_eq!(world.engine.clock_alarm(), None);
    world.pass(0).await;
    assert_eq!(world.counts(), (0, 3));
}

#[tokio::test]
async fn what_became_due_while_the_server_was_off_is_done_in_order() {
    let world = World::new();
    let documents = (0..1200).map(|n| {
        let at = START + (1200 - n) * SECOND;
        expiring(&n.to_string(), at, Update::Keep)
    });
    world.commit(documents.collect()).await;
    let seen = world.engine.snapshot().unwrap().ts();
    world.engine.close();
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let engine = stepped(world.backend.clone(), &world.clock, WINDOW);
    let world = World { engine, ..world };
    assert_eq!(world.engine.clock_alarm(), None);
    settle(&world.engine).await;
    assert_eq!(world.counts(), (0, 1200));
    let commits = world.engine.recent_commits(seen).unwrap();
    let order: Vec<u64> = commits
        .iter()
        .flat_map(|commit| &commit.changes)
        .map(|change| change.id.as_str().parse().unwrap())
        .collect();
    assert_eq!(order, (0..1200).rev().collect::<Vec<_>>());
    let largest = commits.iter().map(|commit| commit.changes.len()).max();
    assert!(largest.unwrap() <= 500, "in bounded transactions");
}

/// The thread wakes by itself when something that is committed becomes due.
#[tokio::test(flavor = "multi_thread")]
async fn the_thread_carries_out_what_is_due() {
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend, thalweg_engine::EngineOptions::default()).unwrap();
    let mut head = engine.head();
    let soon = engine.now_micros() + SECOND / 5;
    commit(&engine, vec![expiring("x", soon, Update::Keep)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let expired = async {
        loop {
            let snapshot = engine.snapshot().unwrap();
            if snapshot.document_count(a).unwrap() == 0 {
                return snapshot.ts();
            }
            drop(snapshot);
            head.changed().await.unwrap();
        }
    };
    let at = tokio::time::timeout(Duration::from_secs(30), expired)
        .await
        .expect("it expires by itself");
    assert!(at.as_micros() >= soon, "not before its time");
    engine.close();
    assert!(
        engine
            .upkeep_step()
            .await
            .is_ok_and(|step| matches!(step, UpkeepStep::Idle { .. }))
    );
}
