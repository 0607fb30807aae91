//! The change stream: what the log tells equals what was published, and a reader misses nothing however it reads.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use proptest::prelude::*;
use thalweg_engine::{
    Change, ChangeEvent, ChangeStream, ChangesError, ChangesStart, Commit, Engine, EngineError,
    EngineOptions, ExpiryChange, Intent, LoggedCommit, Record,
};
use thalweg_model::{CollectionId, CommitTs, ErrorCode};
use thalweg_storage::MemoryBackend;

use crate::fixture::{
    SetClock, collection, commit, create, document, engine, id, named, patch, set,
};
use crate::world;

const A: CollectionId = CollectionId(16);

/// Makes a document so long that it is stored in chunks.
fn long() -> String {
    "x".repeat(1 << 20)
}

/// An engine that keeps no commit in memory, so that everything is read from the log.
fn forgetful() -> Engine {
    let options = EngineOptions {
        recent_commits_bytes_max: 0,
        ..EngineOptions::default()
    };
    Engine::open(Arc::new(MemoryBackend::new()), options).unwrap()
}

fn put(into: &str, of: &str, json: &str) -> Intent {
    Intent::Put {
        collection: named(into),
        id: Some(id(of)),
        document: document(json),
        expiry: ExpiryChange::KEEP,
    }
}

fn delete(of: &str, permanent: bool) -> Intent {
    Intent::Delete {
        collection: A,
        id: id(of),
        permanent,
        if_version: None,
        purge_at: None,
    }
}

fn truncate(name: &str) -> Intent {
    Intent::TruncateCollection { name: name.into() }
}

fn rename(from: &str, to: &str) -> Intent {
    Intent::RenameCollection {
        from: from.into(),
        to: to.into(),
    }
}

fn drop_collection(name: &str) -> Intent {
    Intent::DropCollection { name: name.into() }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn image(record: &Record<'_>) -> String {
    let json = record.document().json();
    let json = match json.len() {
        0..1000 => String::from_utf8_lossy(json).into_owned(),
        bytes => format!("{bytes} bytes with hash {}", hash(json)),
    };
    let [at, created] = [record.commit_ts().as_micros(), record.created_at()];
    let (version, deleted) = (record.version(), record.deleted_at());
    format!(
        "{} {at} {created} {version} {deleted:?} {json}",
        record.id()
    )
}

/// Everything that an event says, and its images apart.
fn told(event: &ChangeEvent) -> (String, [Option<String>; 2]) {
    let ChangeEvent {
        commit_ts,
        collection,
        id,
        kind,
        ends_commit,
        ..
    } = event;
    let head = format!(
        "{commit_ts} {collection} {id:?} {} {ends_commit}",
        kind.as_str()
    );
    let images = [&event.before, &event.after].map(|of| of.as_deref().map(image));
    (head, images)
}

/// What a stream tells up to the document with the id `end`.
async fn until_end(stream: &mut ChangeStream) -> Vec<ChangeEvent> {
    let mut events = Vec::new();
    loop {
        // A change that never comes is a failure, not a test that never ends.
        let next = tokio::time::timeout(Duration::from_secs(30), stream.next());
        let page = next.await.unwrap().unwrap().unwrap();
        let ended = page
            .events
            .iter()
            .any(|event| event.id.as_deref() == Some("end"));
        events.extend(page.events);
        if ended {
            return events;
        }
    }
}

async fn read(engine: &Engine, names: Option<&[&str]>, start: ChangesStart) -> Vec<ChangeEvent> {
    let names = names.map(|names| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    });
    let mut stream = ChangeStream::open(engine, names.as_deref(), start).unwrap();
    until_end(&mut stream).await
}

fn kinds(events: &[ChangeEvent]) -> Vec<String> {
    let kind = |event: &ChangeEvent| {
        let id = event.id.as_deref().unwrap_or("-");
        format!("{} {} {id}", event.kind.as_str(), event.collection)
    };
    events.iter().map(kind).collect()
}

fn transaction() -> impl Strategy<Value = Vec<Intent>> {
    let with_long = || format!(r#"{{"text":"{}"}}"#, long());
    let others = prop_oneof![
        6 => (0..4u8, world::document()).prop_map(|(n, json)| put("b", &n.to_string(), &json)),
        2 => Just(truncate("a")),
        1 => Just(truncate("b")),
        1 => Just(rename("b", "c")),
        1 => Just(rename("c", "b")),
        1 => Just(drop_collection("b")),
        1 => Just(drop_collection("c")),
        1 => (0..3u8).prop_map(move |n| put("a", &n.to_string(), &with_long())),
    ];
    let write = prop_oneof![3 => world::write(A), 2 => others];
    proptest::collection::vec(write, 1..4)
}

fn same_image(ours: Option<&Arc<Record<'static>>>, theirs: Option<&Arc<Record<'static>>>) -> bool {
    ours.map(|record| image(record)) == theirs.map(|record| image(record))
}

/// Whether a change read from the log is the one that was published, given what became of its collection.
fn same_change(published: &Change, logged: &Change, is_erased: bool) -> bool {
    let (before, after) = (logged.before.as_ref(), logged.after.as_ref());
    let same = |ours, theirs: Option<_>| same_image(ours, theirs) || is_erased && theirs.is_none();
    published.collection == logged.collection
        && published.id == logged.id
        && same(published.before.as_ref(), before)
        && same(published.after.as_ref(), after)
}

fn all_logged(engine: &Engine, bytes_max: usize) -> Vec<LoggedCommit> {
    let mut commits: Vec<LoggedCommit> = Vec::new();
    loop {
        let last = commits.last();
        let after = last.map_or(CommitTs::ZERO, |last| last.commit.ts);
        let page = engine.logged_after(after, bytes_max).unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The log tells the commits that were published, with their images; and a stream tells the same from memory and
    /// from the log, from any commit on.
    #[test]
    fn the_log_tells_what_was_published(
        transactions in proptest::collection::vec(transaction(), 1..16),
        bytes_max in prop_oneof![Just(0), Just(300), Just(usize::MAX)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let backend = Arc::new(MemoryBackend::new());
        let engine = Engine::open(backend.clone(), EngineOptions::default()).unwrap();
        runtime.block_on(commit(&engine, vec![put("a", "0", "{}")])).unwrap();
        for intents in transactions {
            // What does not fit is refused; the state stays.
            let _ = runtime.block_on(commit(&engine, intents));
        }
        runtime.block_on(commit(&engine, vec![put("a", "end", "{}")])).unwrap();
        let published = engine.recent_commits(CommitTs::ZERO).unwrap();

        let logged = all_logged(&engine, bytes_max);
        prop_assert_eq!(published.len(), logged.len());
        for (commit, logged) in published.iter().zip(&logged) {
            let ours = &logged.commit;
            prop_assert_eq!(commit.ts, ours.ts);
            prop_assert_eq!(&commit.emptied, &ours.emptied);
            prop_assert_eq!(commit.catalog.is_some(), logged.changes_catalog);
            prop_assert_eq!(commit.changes.len(), ours.changes.len());
            for (theirs, ours) in commit.changes.iter().zip(&ours.changes) {
                let is_erased = published
                    .iter()
                    .any(|later| later.ts > commit.ts && later.emptied.contains(&ours.collection));
                let is_erased = is_erased && logged.lacks_images;
                prop_assert!(same_change(theirs, ours, is_erased), "{theirs:?}\n{ours:?}");
            }
        }

        let in_memory = runtime.block_on(read(&engine, None, ChangesStart::After(CommitTs::ZERO)));
        let of_a = runtime.block_on(read(&engine, Some(&["a"]), ChangesStart::After(CommitTs::ZERO)));
        engine.close();
        let reopened = Engine::open(backend, EngineOptions::default()).unwrap();
        for since in published.iter().map(|commit| commit.ts).filter(|ts| *ts < published[published.len() - 1].ts) {
            for (names, all) in [(None, &in_memory), (Some(&["a"][..]), &of_a)] {
                let from_log = runtime.block_on(read(&reopened, names, ChangesStart::After(since)));
                let expected: Vec<_> = all.iter().filter(|event| event.commit_ts > since).collect();
                prop_assert_eq!(expected.len(), from_log.len());
                for (index, (expected, found)) in expected.iter().zip(&from_log).enumerate() {
                    let ((expected, theirs), (found, ours)) = (told(expected), told(found));
                    prop_assert_eq!(expected, found);
                    let emptied_later = from_log[index..].iter().any(|event| event.kind.as_str() == "TRUNCATE");
                    for (theirs, ours) in theirs.iter().zip(&ours) {
                        prop_assert!(theirs == ours || emptied_later && ours.is_none());
                    }
                }
            }
        }
        // Also where images are gone, the changes add up to what is there.
        let from_log = runtime.block_on(read(&reopened, Some(&["a"]), ChangesStart::After(CommitTs::ZERO)));
        for events in [of_a, from_log] {
            prop_assert_eq!(replay(&events), state(&reopened, "a"));
        }
    }
}

/// What whoever applies the changes of one collection comes to.
fn replay(events: &[ChangeEvent]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for event in events {
        let Some(id) = event.id.as_deref() else {
            state.clear();
            continue;
        };
        match (event.kind.as_str(), &event.after) {
            (_, Some(after)) => {
                state.insert(id.to_owned(), image(after));
            }
            ("DELETE" | "PURGE", None) => {
                state.remove(id);
            }
            // It has been erased, and a later change says what became of it.
            _ => {}
        }
    }
    state
}

fn state(engine: &Engine, name: &str) -> BTreeMap<String, String> {
    let at = engine.snapshot().unwrap().ts();
    let of = collection(engine, name);
    let mut state = BTreeMap::new();
    let mut after = None;
    loop {
        let page = engine
            .historical_page(of, at, after.as_deref(), 100)
            .unwrap();
        let live = page.rows.iter().filter(|row| !row.is_deleted());
        state.extend(live.map(|row| (row.id().to_owned(), image(row))));
        after = page.next;
        if after.is_none() {
            return state;
        }
    }
}

#[tokio::test]
async fn each_write_has_its_kind() {
    let writes = [
        vec![put("a", "x", r#"{"n":1}"#)],
        vec![patch(A, "x", vec![set("n", "2")])],
        vec![delete("x", false)],
        vec![Intent::Restore {
            collection: A,
            id: id("x"),
            to: None,
        }],
        vec![delete("x", false)],
        vec![put("a", "x", r#"{"n":3}"#)],
        vec![delete("x", true)],
        vec![put("a", "y", "{}"), delete("y", false)],
        vec![delete("y", true)],
        vec![
            truncate("a"),
            put("a", "z", "{}"),
            truncate("a"),
            put("a", "end", "{}"),
        ],
    ];
    for engine in [engine(), forgetful()] {
        for intents in writes.clone() {
            commit(&engine, intents).await.unwrap();
        }
        let events = read(&engine, None, ChangesStart::After(CommitTs::ZERO)).await;
        let expected = [
            "CREATE a x",
            "UPDATE a x",
            "DELETE a x",
            "RESTORE a x",
            "DELETE a x",
            "CREATE a x",
            "PURGE a x",
            "DELETE a y",
            "PURGE a y",
            "TRUNCATE a -",
            "CREATE a end",
        ];
        assert_eq!(kinds(&events), expected);
        assert!(
            events
                .iter()
                .all(|event| event.ends_commit != (event.id.is_none()))
        );
        let [purge, delete] = [&events[6], &events[7]];
        assert!(
            purge.before.is_none() && delete.before.is_none(),
            "neither was shown before"
        );
    }
}

#[tokio::test]
async fn a_deletion_shows_what_was_deleted_and_a_purge_does_not() {
    let engine = engine();
    for intents in [
        vec![put("a", "x", r#"{"n":1}"#), put("a", "y", r#"{"n":2}"#)],
        vec![delete("x", false), delete("y", true), put("a", "end", "{}")],
    ] {
        commit(&engine, intents).await.unwrap();
    }
    let events = read(&engine, None, ChangesStart::After(CommitTs::ZERO)).await;
    let before = |event: &ChangeEvent| event.before.as_ref().map(|it| it.version());
    assert_eq!(before(&events[2]), Some(1));
    assert_eq!(before(&events[3]), None);
    assert!(events[2..4].iter().all(|event| event.after.is_none()));
}

/// A commit that is much larger than a page is told in parts, and one cannot resume between them.
#[tokio::test]
async fn a_large_commit_comes_in_bounded_pages() {
    for engine in [engine(), forgetful()] {
        let first = commit(&engine, vec![put("a", "0", "{}")])
            .await
            .unwrap()
            .commit_ts;
        let text = "x".repeat(4 << 10);
        let many =
            (0..2500).map(|n| put("a", &format!("{n:04}"), &format!(r#"{{"text":"{text}"}}"#)));
        let large = commit(&engine, many.collect()).await.unwrap().commit_ts;
        commit(&engine, vec![put("a", "end", "{}")]).await.unwrap();
        let mut stream = ChangeStream::open(&engine, None, ChangesStart::After(first)).unwrap();
        let mut told = Vec::new();
        while told.len() < 2500 {
            let page = stream.next().await.unwrap().unwrap();
            let bytes = page.events.iter().filter_map(|event| event.after.as_ref());
            let bytes: usize = bytes.map(|record| record.document().json().len()).sum();
            assert!(bytes < 300 << 10, "{bytes}");
            told.extend(page.events);
            let is_whole = told.len() >= 2500;
            assert!(
                is_whole || page.resume_from == Some(first),
                "not between its parts"
            );
            assert_eq!(stream.resume_from(), page.resume_from);
        }
        let ends: Vec<_> = told.iter().filter(|event| event.ends_commit).collect();
        assert_eq!(ends[0].id.as_deref(), Some("2499"));
        let ids = told.iter().take(2500).enumerate();
        assert!(
            ids.into_iter()
                .all(|(n, event)| event.id.as_deref() == Some(&*format!("{n:04}")))
        );
        assert!(stream.resume_from() >= Some(large));
    }
}

/// However far a reader is behind, it keeps no commit alive.
#[tokio::test]
async fn a_slow_reader_holds_only_its_cursor() {
    let options = EngineOptions {
        recent_commits_bytes_max: 64 << 10,
        ..EngineOptions::default()
    };
    let engine = Engine::open(Arc::new(MemoryBackend::new()), options).unwrap();
    commit(&engine, vec![put("a", "first", "{}")])
        .await
        .unwrap();
    let mut slow = ChangeStream::open(&engine, None, ChangesStart::Now).unwrap();
    let mut seen: Vec<(CommitTs, Weak<Commit>)> = Vec::new();
    let text = "x".repeat(1 << 10);
    for n in 0..1000 {
        let write = put(
            "a",
            &(n % 50).to_string(),
            &format!(r#"{{"n":{n},"text":"{text}"}}"#),
        );
        let ts = commit(&engine, vec![write]).await.unwrap().commit_ts;
        let newest = engine
            .recent_commits(CommitTs::from_micros(ts.as_micros() - 1))
            .unwrap();
        seen.push((ts, Arc::downgrade(&newest[0])));
        if n == 10 {
            // It has begun, and then it does not come back for long.
            let page = slow.next().await.unwrap().unwrap();
            assert_eq!(page.events.len(), 11);
        }
    }
    let held = seen
        .iter()
        .filter(|(_, commit)| commit.upgrade().is_some())
        .count();
    assert!(
        held < 64,
        "{held} commits are in memory, which is more than the engine itself keeps"
    );
    commit(&engine, vec![put("a", "end", "{}")]).await.unwrap();
    let events = until_end(&mut slow).await;
    let told: Vec<_> = events[..events.len() - 1]
        .iter()
        .map(|event| event.commit_ts)
        .collect();
    let expected: Vec<_> = seen[11..].iter().map(|(ts, _)| *ts).collect();
    assert_eq!(told, expected, "every commit once, in order");
}

#[tokio::test]
async fn who_falls_behind_the_log_is_told_from_where_to_resume() {
    let clock = Arc::new(SetClock::new(1_000_000_000));
    let options = EngineOptions {
        recovery_window: Duration::from_secs(10),
        recent_commits_bytes_max: 0,
        ..EngineOptions::default()
    };
    let engine =
        Engine::open_with_clock(Arc::new(MemoryBackend::new()), options, clock.clone()).unwrap();
    let first = commit(&engine, vec![put("a", "0", "{}")])
        .await
        .unwrap()
        .commit_ts;
    let mut slow = ChangeStream::open(&engine, None, ChangesStart::After(first)).unwrap();
    commit(&engine, vec![put("a", "1", "{}")]).await.unwrap();
    clock.advance(Duration::from_secs(11));
    let last = commit(&engine, vec![put("a", "2", "{}")])
        .await
        .unwrap()
        .commit_ts;
    commit(&engine, vec![put("a", "end", "{}")]).await.unwrap();

    let error = slow.next().await.unwrap_err();
    let EngineError::ChangesGone { oldest } = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.code(), ErrorCode::HistoryGone);
    assert!(first < oldest && oldest < last);
    let refused = ChangeStream::open(&engine, None, ChangesStart::After(first)).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::HistoryGone);
    assert_eq!(
        engine.changes_after(first, 1).unwrap_err().code(),
        ErrorCode::HistoryGone
    );
    let events = read(&engine, None, ChangesStart::After(oldest)).await;
    assert_eq!(kinds(&events), ["CREATE a 2", "CREATE a end"]);
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused() {
    let engine = engine();
    let newest = commit(&engine, vec![put("a", "x", "{}")])
        .await
        .unwrap()
        .commit_ts;
    let unknown = ["nothing".to_owned()];
    let refused = ChangeStream::open(&engine, Some(&unknown), ChangesStart::Now).unwrap_err();
    assert!(matches!(refused, ChangesError::NoSuchCollection { .. }));
    let system = ["_collections".to_owned()];
    let refused = ChangeStream::open(&engine, Some(&system), ChangesStart::Now).unwrap_err();
    assert!(matches!(refused, ChangesError::NoSuchCollection { .. }));
    let refused =
        ChangeStream::open(&engine, None, ChangesStart::After(newest.next())).unwrap_err();
    assert!(matches!(refused, ChangesError::NotYet { .. }));
    assert_eq!(refused.code(), ErrorCode::BadRequest);
}

#[tokio::test]
async fn a_filter_follows_a_collection_through_renaming_and_a_name_through_dropping() {
    for engine in [engine(), forgetful()] {
        let begun = commit(&engine, vec![put("a", "1", "{}"), put("b", "1", "{}")])
            .await
            .unwrap()
            .commit_ts;
        let names = ["a".to_owned()];
        let mut live =
            ChangeStream::open(&engine, Some(&names), ChangesStart::After(begun)).unwrap();
        for intents in [
            vec![put("b", "2", "{}")],
            vec![rename("a", "c")],
            vec![put("c", "3", "{}")],
            vec![put("a", "4", "{}")],
            vec![drop_collection("a")],
            vec![put("a", "5", "{}")],
            vec![put("a", "end", "{}")],
        ] {
            commit(&engine, intents).await.unwrap();
        }
        let expected = [
            "CREATE c 3",
            "CREATE a 4",
            "TRUNCATE a -",
            "CREATE a 5",
            "CREATE a end",
        ];
        assert_eq!(kinds(&until_end(&mut live).await), expected);
        // Who comes later and names it as it is called now gets it from before the renaming too.
        let all = read(
            &engine,
            Some(&["a", "c"]),
            ChangesStart::After(CommitTs::ZERO),
        )
        .await;
        assert_eq!(kinds(&all)[..2], ["CREATE a 1", "CREATE c 3"]);
    }
}

/// Also by a reader that is pages behind the renaming.
#[tokio::test]
async fn a_change_has_the_name_that_its_collection_had_then() {
    for engine in [engine(), forgetful()] {
        let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(300 << 10));
        commit(&engine, vec![put("a", "1", &large)]).await.unwrap();
        let start = ChangesStart::After(CommitTs::ZERO);
        let mut behind = ChangeStream::open(&engine, None, start).unwrap();
        for intents in [
            vec![put("a", "2", &large)],
            vec![rename("a", "b")],
            vec![put("b", "3", &large)],
            vec![rename("b", "c"), put("c", "end", "{}")],
        ] {
            commit(&engine, intents).await.unwrap();
        }
        for all in [
            until_end(&mut behind).await,
            read(&engine, None, start).await,
        ] {
            let expected = ["CREATE a 1", "CREATE a 2", "CREATE b 3", "CREATE c end"];
            assert_eq!(kinds(&all), expected);
        }
    }
}

#[tokio::test]
async fn a_snapshot_is_of_one_commit_and_what_comes_after_it_follows() {
    let engine = forgetful();
    let many = (0..1000).map(|n| put("a", &format!("{n:04}"), r#"{"v":1}"#));
    commit(&engine, many.collect()).await.unwrap();
    commit(
        &engine,
        vec![
            delete("0500", false),
            put("b", "y", "{}"),
            put("c", "z", "{}"),
        ],
    )
    .await
    .unwrap();
    let at = engine.snapshot().unwrap().ts();
    let names = ["b".to_owned(), "a".to_owned()];
    let mut stream = ChangeStream::open(&engine, Some(&names), ChangesStart::Snapshot).unwrap();
    let mut events = Vec::new();
    // While it is read, what has been read and what has not been is changed.
    for change in [
        vec![
            patch(A, "0001", vec![set("v", "2")]),
            patch(A, "0999", vec![set("v", "2")]),
        ],
        vec![delete("0998", true), put("a", "2000", "{}")],
        vec![put("a", "end", "{}")],
    ] {
        assert_eq!(stream.resume_from(), None, "not within a snapshot");
        let page = stream.next().await.unwrap().unwrap();
        assert!(page.events.len() <= 200);
        events.extend(page.events);
        commit(&engine, change).await.unwrap();
    }
    events.extend(until_end(&mut stream).await);
    let (snapshot, after): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| event.kind.as_str() == "SNAPSHOT");
    assert_eq!(snapshot.len(), 1000, "999 of a and one of b");
    assert!(
        snapshot
            .iter()
            .all(|event| event.commit_ts == at && !event.ends_commit)
    );
    let value = |event: &ChangeEvent| event.after.as_ref().map(|it| it.version());
    assert!(snapshot.iter().all(|event| value(event) == Some(1)));
    let expected = [
        "UPDATE a 0001",
        "UPDATE a 0999",
        "PURGE a 0998",
        "CREATE a 2000",
        "CREATE a end",
    ];
    assert_eq!(kinds(&after), expected);
}

#[tokio::test]
async fn a_collection_that_is_emptied_during_its_snapshot_is_told_to_be() {
    let engine = engine();
    let many = (0..500).map(|n| put("a", &format!("{n:04}"), "{}"));
    commit(&engine, many.collect()).await.unwrap();
    commit(&engine, vec![put("b", "y", "{}")]).await.unwrap();
    let mut stream = ChangeStream::open(&engine, None, ChangesStart::Snapshot).unwrap();
    stream.next().await.unwrap().unwrap();
    commit(&engine, vec![drop_collection("a"), put("b", "end", "{}")])
        .await
        .unwrap();
    let rest = until_end(&mut stream).await;
    assert_eq!(
        kinds(&rest),
        ["SNAPSHOT b y", "TRUNCATE a -", "CREATE b end"]
    );
}

/// An empty snapshot says that it has ended, and a filter that lets nothing through moves the cursor on.
#[tokio::test]
async fn the_cursor_moves_also_where_there_is_nothing_to_tell() {
    let engine = engine();
    commit(
        &engine,
        vec![create("a", "{}"), truncate("a"), create("b", "{}")],
    )
    .await
    .unwrap();
    let names = ["a".to_owned()];
    let mut stream = ChangeStream::open(&engine, Some(&names), ChangesStart::Snapshot).unwrap();
    let page = stream.next().await.unwrap().unwrap();
    let at = engine.snapshot().unwrap().ts();
    assert_eq!((page.events.len(), page.resume_from), (0, Some(at)));
    let other = commit(&engine, vec![put("b", "x", "{}")])
        .await
        .unwrap()
        .commit_ts;
    {
        let mut next = std::pin::pin!(stream.next());
        let waker = std::task::Waker::noop();
        let polled = next
            .as_mut()
            .poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    assert_eq!(stream.resume_from(), Some(other));
    engine.close();
}
