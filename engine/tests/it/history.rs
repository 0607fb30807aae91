//! A collection is read as it was, while it changes; what it does not keep is erased.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{Engine, EngineError, EngineOptions, Intent, Retain, SettingsChange};
use thalweg_model::{CollectionId, CommitTs};
use thalweg_storage::MemoryBackend;

use crate::fixture::{
    SetClock, collection, commit, create, earlier_images, engine, find_all, id, named, patch, set,
    settle, stepped,
};

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
        assert!(page.rows.len() <= step, "a step is small");
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

fn retain(of: &str, retain: Retain) -> Intent {
    Intent::Configure {
        collection: named(of),
        change: SettingsChange {
            retain: Some(retain),
            ..SettingsChange::default()
        },
    }
}

/// A commit that changes nothing in the collections that are looked at, but lets the window move on.
async fn tick(engine: &Engine) {
    commit(engine, vec![create("tick", "{}")]).await.unwrap();
}

#[tokio::test]
async fn without_retention_the_past_goes_with_the_window() {
    let clock = Arc::new(SetClock::new(1_000_000_000));
    let window = Duration::from_secs(10);
    let engine = stepped(Arc::new(MemoryBackend::new()), &clock, window);
    let kept = create("kept", r#"{"id":"x","n":0}"#);
    let gone = create("a", r#"{"id":"x","n":0}"#);
    commit(&engine, vec![retain("a", Retain::Nothing), kept, gone])
        .await
        .unwrap();
    let (a, kept) = (collection(&engine, "a"), collection(&engine, "kept"));
    let early = engine.snapshot().unwrap().ts();
    for n in 1..20 {
        let change = |of| patch(of, "x", vec![set("n", &n.to_string())]);
        commit(&engine, vec![change(a), change(kept)])
            .await
            .unwrap();
    }
    let first = r#"1 {"id":"x","n":0} None"#;
    assert_eq!(read_at(&engine, a, early, 10)["x"], first);
    clock.advance(Duration::from_secs(11));
    let recent = patch(a, "x", vec![set("n", "20")]);
    commit(&engine, vec![recent]).await.unwrap();
    let late = engine.snapshot().unwrap().ts();
    commit(&engine, vec![patch(a, "x", vec![set("n", "21")])])
        .await
        .unwrap();
    settle(&engine).await;
    let gone = engine.historical_page(a, early, None, 10);
    let Err(EngineError::HistoryGone { oldest }) = gone else {
        panic!("{gone:?}");
    };
    assert!(early < oldest && oldest.as_micros() <= engine.now_micros() - 10_000_000);
    assert_eq!(
        read_at(&engine, a, late, 10)["x"],
        r#"21 {"id":"x","n":20} None"#
    );
    assert_eq!(read_at(&engine, kept, early, 10)["x"], first);
}

#[tokio::test]
async fn a_change_of_retention_holds_for_what_is_there() {
    let clock = Arc::new(SetClock::new(1_000_000_000));
    let window = Duration::from_secs(10);
    let backend = Arc::new(MemoryBackend::new());
    let engine = stepped(backend.clone(), &clock, window);
    let documents = (0..40).map(|n| create("a", &format!(r#"{{"id":"{n}"}}"#)));
    commit(&engine, documents.collect()).await.unwrap();
    let a = collection(&engine, "a");
    for n in 0..40 {
        let changes =
            (0..40).map(|of: i32| patch(a, &of.to_string(), vec![set("n", &n.to_string())]));
        commit(&engine, changes.collect()).await.unwrap();
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(earlier_images(&*backend, a), 1600);
    let hour = Retain::For(Duration::from_secs(1000));
    commit(&engine, vec![retain("a", hour)]).await.unwrap();
    let next = settle(&engine).await;
    // An image ended with each of the 40 rounds; 16 of them are within 1,000 seconds.
    assert_eq!(earlier_images(&*backend, a), 16 * 40);
    // It goes on by itself, when a sixteenth of the time has passed.
    let expected = engine.now_micros() + 1_000_000_000 / 16;
    assert!(next.is_some_and(|next| next.abs_diff(expected) < 1000));
    clock.advance(Duration::from_secs(120));
    settle(&engine).await;
    assert_eq!(earlier_images(&*backend, a), 14 * 40);
    commit(&engine, vec![retain("a", Retain::Nothing)])
        .await
        .unwrap();
    settle(&engine).await;
    assert_eq!(earlier_images(&*backend, a), 0);
    assert_eq!(settle(&engine).await, None);
}

#[tokio::test]
async fn a_sweep_goes_on_after_a_restart() {
    let clock = Arc::new(SetClock::new(1_000_000_000));
    let window = Duration::from_secs(10);
    let backend = Arc::new(MemoryBackend::new());
    let engine = stepped(backend.clone(), &clock, window);
    let documents = (0..2000).map(|n| create("a", &format!(r#"{{"id":"{n}"}}"#)));
    commit(&engine, documents.collect()).await.unwrap();
    let a = collection(&engine, "a");
    let early = engine.snapshot().unwrap().ts();
    let changes = (0..2000).map(|n: i32| patch(a, &n.to_string(), vec![set("n", "1")]));
    commit(&engine, changes.collect()).await.unwrap();
    clock.advance(Duration::from_secs(100));
    // Nothing of it is left in the log, so the sweep alone finds it.
    for _ in 0..4 {
        tick(&engine).await;
    }
    commit(&engine, vec![retain("a", Retain::Nothing)])
        .await
        .unwrap();
    for _ in 0..3 {
        engine.upkeep_step().await.unwrap();
    }
    let left = earlier_images(&*backend, a);
    assert!((1..2000).contains(&left), "{left}");
    // What is half erased is not shown.
    let gone = engine.historical_page(a, early, None, 10);
    assert!(matches!(gone, Err(EngineError::HistoryGone { .. })));
    engine.close();
    let engine = stepped(backend.clone(), &clock, window);
    settle(&engine).await;
    assert_eq!(earlier_images(&*backend, a), 0);
    assert_eq!(engine.snapshot().unwrap().document_count(a).unwrap(), 2000);
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
    assert!(matches!(gone, Err(EngineError::HistoryGone { .. })));
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
        assert!(
            matches!(gone, Err(EngineError::HistoryGone { .. })),
            "{gone:?}"
        );
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
        permanent: false,
        if_version: None,
        purge_at: None,
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

/// Both ways through a history that is longer than what is read of it at a time, with documents that were changed much
/// more often than others.
#[tokio::test]
async fn a_long_history_is_read_in_both_directions() {
    let engine = engine();
    let name = |n: usize| format!("{n:04}");
    let documents = (0..1500).map(|n| create("a", &format!(r#"{{"id":"{}","n":0}}"#, name(n))));
    commit(&engine, documents.collect()).await.unwrap();
    let a = collection(&engine, "a");
    let mut states = vec![(engine.snapshot().unwrap().ts(), 1500)];
    for round in 1..60 {
        let busy = (0..1500).filter(|n| n % 250 == 7 || (round % 20 == 0 && n % 3 == 0));
        let mut changes: Vec<_> = busy
            .map(|n| patch(a, &name(n), vec![set("n", &round.to_string())]))
            .collect();
        let gone = |n| Intent::Delete {
            collection: a,
            id: id(&name(n)),
            permanent: false,
            purge_at: None,
            if_version: None,
        };
        changes.push(gone(round));
        changes.push(gone(1499 - round));
        commit(&engine, changes).await.unwrap();
        states.push((engine.snapshot().unwrap().ts(), 1500 - 2 * round));
    }
    for (round, (at, live)) in states.into_iter().enumerate().step_by(7) {
        let snapshot = engine.snapshot_at(at).unwrap();
        let (mut ascending, mut descending) = (Vec::new(), Vec::new());
        for (from_end, rows) in [(false, &mut ascending), (true, &mut descending)] {
            let found = snapshot
                .find(&thalweg_engine::Find {
                    limit: 2000,
                    from_end,
                    ..find_all(a)
                })
                .unwrap();
            assert_eq!(found.total, Some(live as u64));
            rows.extend(
                found
                    .rows
                    .iter()
                    .map(|row| (row.id().to_owned(), row.version())),
            );
        }
        assert_eq!(ascending.len(), live);
        assert_eq!(ascending, descending, "the rows come in order either way");
        assert!(ascending.is_sorted());
        let busy = ascending.iter().find(|(id, _)| *id == name(257)).unwrap();
        assert_eq!(busy.1, 1 + round as u64, "each round wrote it once");
    }
}
