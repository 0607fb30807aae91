//! What falls out of the recovery window, while one group is written and the next one is open on a reader from before it.

use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{EngineError, EngineOptions, Intent};
use thalweg_model::ErrorCode;
use thalweg_storage::MemoryBackend;

use crate::fixture::{create, patch, set};
use crate::pipeline::{Stepped, add_once};

#[tokio::test]
async fn the_log_has_no_gap_where_two_groups_trim_it() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let mut stamps = Vec::new();
    for n in 0..600 {
        let change = patch(a, "x", vec![set("n", &n.to_string())]);
        let task = world.send_commit(vec![change]).await;
        world.run().await;
        stamps.push(task.await.unwrap().unwrap().commit_ts);
    }
    world.clock.advance(Duration::from_secs(3600));
    let many = (0..300).map(|n| create("a", &format!(r#"{{"id":"b{n}"}}"#)));
    let first = world.send_commit(many.collect()).await;
    world.order();
    world.hand_over();
    let second = world.send_commit(vec![create("a", r#"{"id":"g"}"#)]).await;
    world.order();
    world.write().await;
    world.run().await;
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    for (index, after) in stamps.iter().enumerate() {
        match world.engine.logged_after(*after, 1) {
            Ok(commits) => {
                let next = commits.first().map(|logged| logged.commit.ts);
                assert!(
                    stamps
                        .get(index + 1)
                        .is_none_or(|expect| next == Some(*expect))
                );
            }
            Err(EngineError::ChangesGone { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn the_log_is_trimmed_as_fast_as_it_grows() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    world.seed(r#"{"id":"x","n":0}"#).await;
    let (mut tasks, mut stamps) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        world.clock.advance(Duration::from_secs(60));
        for _ in 0..300 {
            tasks.push(world.send_commit(vec![create("a", r#"{"n":1}"#)]).await);
        }
        world.order();
        // Each group is closed while the one before it is still on its way.
        world.write_if_any().await;
        world.hand_over();
    }
    world.run().await;
    for task in tasks {
        stamps.push(task.await.unwrap().unwrap().commit_ts);
    }
    let is_kept = |ts: &&_| world.engine.logged_after(**ts, 1).is_ok();
    let kept = stamps.iter().filter(is_kept).count();
    assert!(
        kept <= 300 * 14,
        "{kept} commits are in the log; 11 groups are in the window"
    );
}

#[tokio::test]
async fn an_answer_is_not_erased_with_an_older_one_of_its_key() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let engine = world.engine.clone();
    let expired = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.run().await;
    expired.await.unwrap().unwrap();
    world.clock.advance(Duration::from_secs(25 * 3600));
    let renewed = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.order();
    world.hand_over();
    let other = world.send_commit(vec![create("a", r#"{"id":"g"}"#)]).await;
    world.order();
    world.run().await;
    let answer = renewed.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    let again = world.send(add_once(engine.clone(), a, "k", 1)).await;
    world.run().await;
    assert_eq!(again.await.unwrap().unwrap(), answer);
}

#[tokio::test]
async fn a_group_that_waits_long_for_the_one_before_it_is_begun_anew() {
    let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let first = world
        .send_commit(vec![patch(a, "x", vec![set("n", "1")])])
        .await;
    world.order();
    world.hand_over();
    let second = world
        .send_commit(vec![patch(a, "x", vec![set("m", "2")])])
        .await;
    world.order();
    world.clock.advance(Duration::from_secs(20));
    world.run().await;
    let (first, second) = (
        first.await.unwrap().unwrap(),
        second.await.unwrap().unwrap(),
    );
    assert!(first.commit_ts < second.commit_ts);
    let json = crate::fixture::json_of(&world.engine.snapshot().unwrap(), a, "x").unwrap();
    assert_eq!(json, r#"{"id":"x","n":1,"m":2}"#);
}

#[tokio::test]
async fn what_is_run_in_the_line_is_bounded() {
    let options = EngineOptions {
        line_documents_max: 10,
        transaction_bytes_max: 1000,
        ..EngineOptions::default()
    };
    let mut world = Stepped::open_with(Arc::new(MemoryBackend::new()), options);
    let a = world.seed(r#"{"id":"x","n":0}"#).await;
    let filled = (0..20).map(|n| create("a", &format!(r#"{{"id":"{n}"}}"#)));
    let filled = world.send_commit(filled.collect()).await;
    world.run().await;
    filled.await.unwrap().unwrap();
    // It is ordered first, and what reads next runs before that.
    let late = world
        .send_commit(vec![create("a", r#"{"id":"late"}"#)])
        .await;
    let engine = world.engine.clone();
    let reads = world
        .send(async move {
            engine
                .transact(move |transaction| {
                    let found = transaction.find(&crate::fixture::find_all(a))?.len();
                    transaction.write(patch(a, "x", vec![set("n", &found.to_string())]))
                })
                .await
        })
        .await;
    world.run().await;
    late.await.unwrap().unwrap();
    let error = reads.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    assert!(error.to_string().contains("declare an index"), "{error}");
    let large: Vec<Intent> = (0..3)
        .map(|_| create("a", &format!(r#"{{"text":"{}"}}"#, "x".repeat(400))))
        .collect();
    let large = world.send_commit(large).await;
    world.run().await;
    let error = large.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
}
