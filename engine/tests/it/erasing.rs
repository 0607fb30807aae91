//! What is deleted for good leaves nothing behind.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::time::Duration;

use thalweg_engine::{Engine, ExpiryChange, Intent};
use thalweg_storage::{Backend, Direction, MemoryBackend};

use crate::fixture::{
    SetClock, collection, commit, create, id, named, patch, set, settle, stepped,
};

/// All that is stored, in bytes.
fn stored_bytes(backend: &dyn Backend) -> usize {
    let mut bytes = 0;
    let snapshot = backend.snapshot().unwrap();
    snapshot
        .scan(
            Bound::Unbounded,
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, value| {
                bytes += key.len() + value.len();
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    bytes
}

struct World {
    backend: Arc<MemoryBackend>,
    engine: Engine,
    clock: Arc<SetClock>,
}

impl World {
    fn new() -> World {
        let backend = Arc::new(MemoryBackend::new());
        let clock = Arc::new(SetClock::new(1_000_000_000));
        let engine = stepped(backend.clone(), &clock, Duration::from_secs(1));
        World {
            backend,
            engine,
            clock,
        }
    }

    async fn commit(&self, intent: Intent) {
        commit(&self.engine, vec![intent]).await.unwrap();
    }

    /// Long documents with long earlier images, one of them deleted, and a neighbour that has to stay.
    async fn fill(&self) {
        let long = "x".repeat(3 << 20);
        for of in ["kept", "gone", "\u{0}", ""] {
            let of = format!("{of}1");
            let json = format!(r#"{{"id":{},"s":"{long}"}}"#, json_string(&of));
            self.commit(create("a", &json)).await;
            let a = collection(&self.engine, "a");
            self.commit(patch(a, &of, vec![set("n", "1")])).await;
        }
        self.commit(create("b", &format!(r#"{{"id":"x","s":"{long}"}}"#)))
            .await;
        self.delete("gone1").await;
    }

    async fn delete(&self, of: &str) {
        self.commit(Intent::Delete {
            collection: collection(&self.engine, "a"),
            id: id(of),
            permanent: true,
            if_version: None,
            purge_at: None,
        })
        .await;
    }

    /// Lets the recovery window pass over all that has been written.
    async fn pass_window(&self) {
        for n in 0..3 {
            self.clock.advance(Duration::from_secs(10));
            self.commit(Intent::Put {
                collection: named("tick"),
                id: Some(id("tick")),
                document: crate::fixture::document(&format!(r#"{{"n":{n}}}"#)),
                expiry: ExpiryChange::KEEP,
            })
            .await;
            settle(&self.engine).await;
        }
    }
}

fn json_string(text: &str) -> String {
    let mut json = Vec::new();
    thalweg_model::write_json_string(text, &mut json);
    String::from_utf8(json).unwrap()
}

const NEIGHBOUR: std::ops::Range<usize> = (3 << 20)..(3 << 20) + 20_000;

#[tokio::test]
async fn emptying_a_collection_erases_long_documents() {
    for intent in [
        Intent::TruncateCollection { name: "a".into() },
        Intent::DropCollection { name: "a".into() },
    ] {
        let world = World::new();
        world.fill().await;
        assert!(stored_bytes(&*world.backend) > 20 << 20);
        world.commit(intent).await;
        let stored = stored_bytes(&*world.backend);
        assert!(NEIGHBOUR.contains(&stored), "{stored} bytes are left");
        world.pass_window().await;
        let stored = stored_bytes(&*world.backend);
        assert!(NEIGHBOUR.contains(&stored), "{stored} bytes are left");
        let b = collection(&world.engine, "b");
        let snapshot = world.engine.snapshot().unwrap();
        assert!(snapshot.get(b, "x").unwrap().is_some());
    }
}

#[tokio::test]
async fn what_was_deleted_for_good_goes_with_the_window() {
    let world = World::new();
    world.fill().await;
    for of in ["kept1", "\u{0}1", "1"] {
        world.delete(of).await;
    }
    assert!(stored_bytes(&*world.backend) > 20 << 20);
    world.pass_window().await;
    let stored = stored_bytes(&*world.backend);
    assert!(NEIGHBOUR.contains(&stored), "{stored} bytes are left");
}
