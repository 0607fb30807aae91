//! A collection is read as it was, while it changes; what has fallen out of the window is erased.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use thalweg_engine::{Engine, EngineError, EngineOptions, Intent};
use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::MemoryBackend;

use crate::fixture::{SetClock, collection, commit, create, engine, id, patch, set};
use crate::world;

fn read_at(
    engine: &Engine,
    a: CollectionId,
    at: CommitTs,
    step: usize,
) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    let mut after = None;
    loop {
        let page = engine
            .historical_page(a, at, after.as_deref(), step)
            .unwrap();
        assert!(page.rows.len() <= step.saturating_mul(2), "a step is small");
        for row in page.rows {
            let json = String::from_utf8_lossy(row.document().json()).into_owned();
            let shown = format!("{} {json} {:?}", row.version(), row.deleted_at());
            assert!(
                rows.insert(row.id().to_owned(), shown).is_none(),
                "each id once"
            );
        }
        after = page.next;
        if after.is_none() {
            return rows;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Every state that ever was is read back exactly, whatever happened since.
    #[test]
    fn every_past_state_is_readable(
        writes in proptest::collection::vec(world::write(CollectionId(16)), 1..25),
        step in 1..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let engine = engine();
        runtime
            .block_on(commit(&engine, vec![Intent::CreateCollection { name: "a".into() }]))
            .unwrap();
        let a = collection(&engine, "a");
        let mut states = Vec::new();
        for write in writes {
            // A patch that does not fit is refused; the state stays.
            let _ = runtime.block_on(commit(&engine, vec![write]));
            let ts = engine.snapshot().unwrap().ts();
            states.push((ts, read_at(&engine, a, ts, usize::MAX)));
        }
        for (ts, state) in states {
            prop_assert_eq!(read_at(&engine, a, ts, step), state);
        }
    }
}

#[tokio::test]
async fn the_window_moves_on() {
    let clock = Arc::new(SetClock::new(1_000_000_000));
    let options = EngineOptions {
        recovery_window: Duration::from_secs(10),
        ..EngineOptions::default()
    };
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open_with_clock(backend, options, clock.clone()).unwrap();
    commit(&engine, vec![create("a", r#"{"id":"x","n":0}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let early = engine.snapshot().unwrap().ts();
    for n in 1..20 {
        commit(&engine, vec![patch(a, "x", vec![set("n", &n.to_string())])])
            .await
            .unwrap();
    }
    let before = read_at(&engine, a, early, 10);
    assert_eq!(before["x"], r#"1 {"id":"x","n":0} None"#);
    clock.advance(Duration::from_secs(11));
    commit(&engine, vec![patch(a, "x", vec![set("n", "99")])])
        .await
        .unwrap();
    let late = engine.snapshot().unwrap().ts();
    let gone = engine.historical_page(a, early, None, 10);
    assert!(matches!(gone, Err(EngineError::HistoryGone)), "{gone:?}");
    commit(&engine, vec![patch(a, "x", vec![set("n", "100")])])
        .await
        .unwrap();
    assert_eq!(
        read_at(&engine, a, late, 10)["x"],
        r#"21 {"id":"x","n":99} None"#
    );
}

#[tokio::test]
async fn a_truncated_past_is_gone_rather_than_wrong() {
    let engine = engine();
    commit(&engine, vec![create("a", r#"{"id":"x"}"#)])
        .await
        .unwrap();
    let a = collection(&engine, "a");
    let before = engine.snapshot().unwrap().ts();
    commit(
        &engine,
        vec![Intent::TruncateCollection { name: "a".into() }],
    )
    .await
    .unwrap();
    let gone = engine.historical_page(a, before, None, 10);
    assert!(matches!(gone, Err(EngineError::HistoryGone)));
}

#[tokio::test]
async fn emptying_is_remembered_beyond_the_recent_commits_and_a_restart() {
    let options = EngineOptions {
        recent_commits_bytes_max: 10_000,
        ..EngineOptions::default()
    };
    let backend = Arc::new(MemoryBackend::new());
    let engine = Engine::open(backend.clone(), options.clone()).unwrap();
    let documents = [create("a", r#"{"id":"x"}"#), create("b", r#"{"id":"y"}"#)];
    commit(&engine, documents.to_vec()).await.unwrap();
    let (a, b) = (collection(&engine, "a"), collection(&engine, "b"));
    let before = engine.snapshot().unwrap().ts();
    let truncate = Intent::TruncateCollection { name: "a".into() };
    commit(&engine, vec![truncate]).await.unwrap();
    let emptied = engine.snapshot().unwrap().ts();
    let text = "x".repeat(9_000);
    for n in 0..4 {
        let json = format!(r#"{{"n":{n},"s":"{text}"}}"#);
        let more = [create("a", &json), create("other", &json)];
        commit(&engine, more.to_vec()).await.unwrap();
    }
    commit(&engine, vec![patch(b, "y", vec![set("n", "1")])])
        .await
        .unwrap();
    assert!(engine.recent_commits(before).is_none());
    let check = |engine: &Engine| {
        let gone = engine.historical_page(a, before, None, 10);
        assert!(matches!(gone, Err(EngineError::HistoryGone)), "{gone:?}");
        assert!(read_at(engine, a, emptied, 10).is_empty());
        assert_eq!(read_at(engine, b, before, 10)["y"], r#"1 {"id":"y"} None"#);
    };
    check(&engine);
    engine.close();
    check(&Engine::open(backend, options).unwrap());
}

#[tokio::test]
async fn pages_stay_small_where_much_was_deleted() {
    let engine = engine();
    let name = |n: usize| format!("{n:06}");
    let documents = (0..5000).map(|n| create("a", &format!(r#"{{"id":"{}"}}"#, name(n))));
    commit(&engine, documents.collect()).await.unwrap();
    let a = collection(&engine, "a");
    // One with many earlier images among those with few.
    for n in 0..100 {
        let edit = patch(a, &name(2500), vec![set("n", &n.to_string())]);
        commit(&engine, vec![edit]).await.unwrap();
    }
    let at = engine.snapshot().unwrap().ts();
    let delete = |n| Intent::Delete {
        collection: a,
        id: id(&name(n)),
        permanent: true,
        if_version: None,
    };
    commit(&engine, (0..5000).map(delete).collect())
        .await
        .unwrap();
    let rows = read_at(&engine, a, at, 10);
    assert_eq!(rows.len(), 5000);
    assert!(rows[&name(2500)].starts_with("101 "));
}

/// Whoever reads large documents holds about a mebibyte of them at a time, the earlier images included.
#[tokio::test]
async fn a_page_of_large_documents_has_few() {
    let engine = engine();
    let large = |n: usize, mark: &str| {
        let text = mark.repeat(200 << 10);
        create("a", &format!(r#"{{"id":"{n:02}","text":"{text}"}}"#))
    };
    let written: Vec<_> = (0..20).map(|n| large(n, "x")).collect();
    commit(&engine, written).await.unwrap();
    let a = collection(&engine, "a");
    let early = engine.snapshot().unwrap().ts();
    let now = engine.historical_page(a, early, None, 500).unwrap();
    assert_eq!((now.rows.len(), now.next.as_deref()), (6, Some("05")));
    for n in (0..20).step_by(2) {
        let change = patch(a, &format!("{n:02}"), vec![set("text", "\"\"")]);
        commit(&engine, vec![change]).await.unwrap();
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = engine
            .historical_page(a, early, after.as_deref(), 500)
            .unwrap();
        assert!((1..=12).contains(&page.rows.len()), "{}", page.rows.len());
        seen.extend(page.rows.iter().map(|row| row.id().to_owned()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let all: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
    assert_eq!(seen, all);
}
