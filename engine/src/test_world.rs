//! For unit tests that look at what is stored: random transactions on a store in memory, and all of its keys.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use thalweg_model::{Document, DocumentId, FieldPath, Patch, PatchOperation, Value};
use thalweg_schema_infer::Evolution;
use thalweg_storage::{Backend, Batch, Direction, MemoryBackend, Write};
use tokio::runtime::Runtime;

use crate::chunk;
use crate::{
    Clock, CollectionRef, Engine, EngineOptions, ExpiryChange, IdempotencyKey, IndexDefinition,
    Intent, MaintenanceMode, OnExpire, Place, Retain, SettingsChange, TransactionError, Update,
    UpkeepMode,
};

/// A clock that stands still until it is moved.
pub(crate) struct SetClock {
    wall: AtomicU64,
    monotonic: AtomicU64,
}

impl SetClock {
    pub(crate) fn new(micros: u64) -> SetClock {
        SetClock {
            wall: AtomicU64::new(micros),
            monotonic: AtomicU64::new(0),
        }
    }

    /// Time passes.
    pub(crate) fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap();
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.monotonic.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn wall_micros(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic_micros(&self) -> u64 {
        self.monotonic.load(Ordering::SeqCst)
    }
}

const COLLECTIONS: [&str; 3] = ["a", "b", "c"];

/// One transaction, or a wait.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Put {
        collection: usize,
        id: u8,
        n: u8,
        filler: usize,
    },
    Increment {
        collection: usize,
        id: u8,
    },
    Delete {
        collection: usize,
        id: u8,
        permanent: bool,
    },
    Restore {
        collection: usize,
        id: u8,
    },
    Once {
        key: u8,
        id: u8,
    },
    Wait {
        seconds: u64,
    },
    Rename {
        collection: usize,
    },
    Truncate {
        collection: usize,
    },
    Drop {
        collection: usize,
    },
    /// Creates an index, or drops it where it is there.
    Index {
        collection: usize,
        which: usize,
    },
    /// A document with a time of its own to expire at.
    Expiring {
        collection: usize,
        id: u8,
        seconds: u64,
    },
    /// Changes the settings of a collection.
    Configure {
        collection: usize,
        which: usize,
    },
    /// A piece of background work on indexes.
    Maintain,
    /// A step of what is due by itself.
    Upkeep,
}

const INDEXES: [(&[&str], bool); 3] = [(&["n"], false), (&["list[]"], false), (&["n"], true)];

/// Which of them keeps history for longer than the recovery window, and not for ever.
pub(crate) const RETAIN_700_SECONDS: usize = 7;

const SETTINGS: [fn() -> SettingsChange; 9] = [
    || SettingsChange {
        ttl: Update::Set(Duration::from_secs(200)),
        ..SettingsChange::default()
    },
    || SettingsChange {
        ttl: Update::Clear,
        ..SettingsChange::default()
    },
    || SettingsChange {
        purge_after: Update::Set(Duration::from_secs(100)),
        ..SettingsChange::default()
    },
    || SettingsChange {
        purge_after: Update::Clear,
        ..SettingsChange::default()
    },
    || SettingsChange {
        on_expire: Update::Set(OnExpire::Permanent),
        ..SettingsChange::default()
    },
    || SettingsChange {
        soft_delete: Some(false),
        ..SettingsChange::default()
    },
    || SettingsChange {
        retain: Some(Retain::Nothing),
        ..SettingsChange::default()
    },
    || SettingsChange {
        retain: Some(Retain::For(Duration::from_secs(700))),
        ..SettingsChange::default()
    },
    || SettingsChange {
        retain: Some(Retain::Forever),
        ..SettingsChange::default()
    },
];

/// Deeds that leave collections their history.
pub(crate) fn small_deed() -> impl Strategy<Value = Deed> {
    let collection = || 0..COLLECTIONS.len();
    let id = || 0..6u8;
    prop_oneof![
        6 => (collection(), id(), 0..5u8).prop_map(|(collection, id, n)| {
            Deed::Put { collection, id, n, filler: 0 }
        }),
        1 => (collection(), id(), 0..5u8).prop_map(|(collection, id, n)| {
            Deed::Put { collection, id, n, filler: 1_100_000 }
        }),
        4 => (collection(), id()).prop_map(|(collection, id)| Deed::Increment { collection, id }),
        3 => (collection(), id(), any::<bool>())
            .prop_map(|(collection, id, permanent)| Deed::Delete { collection, id, permanent }),
        1 => (collection(), id()).prop_map(|(collection, id)| Deed::Restore { collection, id }),
        1 => (any::<u8>(), id()).prop_map(|(key, id)| Deed::Once { key, id }),
        3 => (1..400u64).prop_map(|seconds| Deed::Wait { seconds }),
        1 => collection().prop_map(|collection| Deed::Rename { collection }),
        2 => (collection(), 0..INDEXES.len())
            .prop_map(|(collection, which)| Deed::Index { collection, which }),
        3 => Just(Deed::Maintain),
        2 => (collection(), id(), 1..400u64)
            .prop_map(|(collection, id, seconds)| Deed::Expiring { collection, id, seconds }),
        2 => (collection(), 0..SETTINGS.len())
            .prop_map(|(collection, which)| Deed::Configure { collection, which }),
        5 => Just(Deed::Upkeep),
    ]
}

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => small_deed(),
        1 => (0..COLLECTIONS.len()).prop_map(|collection| Deed::Truncate { collection }),
        1 => (0..COLLECTIONS.len()).prop_map(|collection| Deed::Drop { collection }),
    ]
}

/// An engine on a store in memory whose keys can be seen.
pub(crate) struct World {
    pub(crate) backend: Arc<MemoryBackend>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) engine: Engine,
    runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> World {
        let backend = Arc::new(MemoryBackend::new());
        let clock = Arc::new(SetClock::new(1_000_000_000));
        let engine = open(&backend, &clock);
        World {
            backend,
            clock,
            engine,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    /// A world in which that has happened.
    pub(crate) fn after(deeds: &[Deed]) -> World {
        let world = World::new();
        for deed in deeds {
            world.perform(deed);
        }
        world
    }

    pub(crate) fn wait(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Does it; what is refused changes nothing.
    pub(crate) fn perform(&self, deed: &Deed) {
        let intent = match deed {
            Deed::Put {
                collection,
                id,
                n,
                filler,
            } => Intent::Put {
                collection: CollectionRef::Name {
                    name: COLLECTIONS[*collection].into(),
                    create: true,
                },
                id: Some(document_id(*id)),
                document: numbered(*n, *filler),
                expiry: ExpiryChange::KEEP,
            },
            Deed::Expiring {
                collection,
                id,
                seconds,
            } => Intent::Put {
                collection: CollectionRef::Name {
                    name: COLLECTIONS[*collection].into(),
                    create: true,
                },
                id: Some(document_id(*id)),
                document: numbered(7, 0),
                expiry: ExpiryChange {
                    at: Update::Set(self.clock.wall_micros() + seconds * 1_000_000),
                    ..ExpiryChange::KEEP
                },
            },
            Deed::Configure { collection, which } => {
                let Some(collection) = self.collection(*collection) else {
                    return;
                };
                Intent::Configure {
                    collection: CollectionRef::Id(collection),
                    change: SETTINGS[*which](),
                }
            }
            Deed::Increment { collection, id } => {
                let Some(collection) = self.collection(*collection) else {
                    return;
                };
                Intent::Patch {
                    collection,
                    id: document_id(*id),
                    patch: Patch {
                        operations: vec![PatchOperation::Increment {
                            path: FieldPath::top("n"),
                            by: Value::int(1),
                        }],
                    },
                    if_version: None,
                    otherwise: None,
                    expiry: ExpiryChange::KEEP,
                }
            }
            Deed::Delete {
                collection,
                id,
                permanent,
            } => {
                let Some(collection) = self.collection(*collection) else {
                    return;
                };
                Intent::Delete {
                    collection,
                    id: document_id(*id),
                    permanent: *permanent,
                    purge_at: None,
                    if_version: None,
                }
            }
            Deed::Restore { collection, id } => {
                let Some(collection) = self.collection(*collection) else {
                    return;
                };
                Intent::Restore {
                    collection,
                    id: document_id(*id),
                    to: None,
                }
            }
            Deed::Once { key, id } => return self.once(*key, *id),
            Deed::Wait { seconds } => return self.wait(Duration::from_secs(*seconds)),
            Deed::Index { collection, which } => {
                let Some(intent) = self.index_intent(*collection, *which) else {
                    return;
                };
                intent
            }
            Deed::Maintain => {
                let step = self
                    .runtime
                    .block_on(async { self.engine.maintenance().step().await });
                step.map(drop).unwrap();
                return;
            }
            Deed::Upkeep => {
                let step = self.runtime.block_on(self.engine.upkeep_step());
                step.map(drop).unwrap();
                return;
            }
            Deed::Rename { collection } => Intent::RenameCollection {
                from: COLLECTIONS[*collection].into(),
                to: format!("{} again", COLLECTIONS[*collection]).into(),
            },
            Deed::Truncate { collection } => Intent::TruncateCollection {
                name: COLLECTIONS[*collection].into(),
            },
            Deed::Drop { collection } => Intent::DropCollection {
                name: COLLECTIONS[*collection].into(),
            },
        };
        match self.commit(intent) {
            Ok(()) | Err(TransactionError::Intent { .. }) => {}
            Err(error) => panic!("{deed:?}: {error}"),
        }
    }

    pub(crate) fn commit(&self, intent: Intent) -> Result<(), TransactionError> {
        let code = move |transaction: &mut crate::Transaction<'_>| {
            transaction.write(intent.clone())?;
            Ok(())
        };
        self.runtime.block_on(self.engine.transact(code)).map(drop)
    }

    fn once(&self, key: u8, id: u8) {
        let key = IdempotencyKey::new(&format!("key {key}"), 1).unwrap();
        let code = move |transaction: &mut crate::Transaction<'_>| {
            transaction.write(Intent::Put {
                collection: CollectionRef::Name {
                    name: "a".into(),
                    create: true,
                },
                id: Some(document_id(id)),
                document: numbered(9, 0),
                expiry: ExpiryChange::KEEP,
            })?;
            Ok(())
        };
        let answer = |_| b"done".to_vec();
        let once = self.engine.transact_once(Place::Caller, key, code, answer);
        match self.runtime.block_on(once) {
            Ok(_) | Err(TransactionError::Intent { .. }) => {}
            Err(error) => panic!("once: {error}"),
        }
    }

    fn index_intent(&self, collection: usize, which: usize) -> Option<Intent> {
        let (fields, unique) = INDEXES[which];
        let definition = IndexDefinition::parse(fields, unique).unwrap();
        let collection = CollectionRef::Id(self.collection(collection)?);
        let catalog = self.engine.catalog();
        let CollectionRef::Id(id) = collection else {
            return None;
        };
        let is_there = catalog.by_id(id)?.index(&definition).is_some();
        Some(if is_there {
            Intent::DropIndex {
                collection,
                definition,
            }
        } else {
            Intent::CreateIndex {
                collection,
                definition,
            }
        })
    }

    fn collection(&self, index: usize) -> Option<thalweg_model::CollectionId> {
        Some(self.engine.catalog().by_name(COLLECTIONS[index])?.id)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.close();
    }
}

pub(crate) fn open(backend: &Arc<MemoryBackend>, clock: &Arc<SetClock>) -> Engine {
    let backend = Arc::clone(backend) as Arc<dyn Backend>;
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let options = EngineOptions {
        maintenance: MaintenanceMode::Manual,
        upkeep: UpkeepMode::Stepped,
        index_page_max: 2,
        evolution: Evolution::Additive,
        deprecated_kept: Duration::from_secs(500),
        // So short that erasing is a matter of one wait.
        recovery_window: Duration::from_secs(200),
        ..EngineOptions::default()
    };
    Engine::open_with_clock(backend, options, clock).unwrap()
}

/// Some ids are not what the document itself says, and one needs escaping in keys.
fn document_id(id: u8) -> DocumentId {
    DocumentId::new(&if id == 0 {
        "x\0y".to_owned()
    } else {
        id.to_string()
    })
    .unwrap()
}

fn numbered(n: u8, filler: usize) -> Document {
    let text = format!(
        r#"{{"id":{n},"n":{n},"list":[{n},{{"k{n}":null}}],"filler":"{}"}}"#,
        "x".repeat(filler)
    );
    Document::parse(text.as_bytes()).unwrap()
}

/// Every key of a store, with its value.
pub(crate) type Dump = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) fn dump(backend: &dyn Backend) -> Dump {
    let mut all = Dump::new();
    let reader = backend.snapshot().unwrap();
    let (from, to) = (Bound::Unbounded, Bound::Unbounded);
    reader
        .scan(from, to, Direction::Forward, &mut |key, value| {
            all.insert(key.to_vec(), value.into_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    all
}

/// Changes a store behind the engine's back.
pub(crate) fn tamper(backend: &dyn Backend, writes: Vec<Write>) {
    let expected = backend.snapshot().unwrap().head();
    let mut head = expected.unwrap();
    head.batch += 1;
    backend
        .commit(&Batch {
            expected,
            head,
            writes,
        })
        .unwrap();
}

/// A whole value as it is stored where it is short.
pub(crate) fn whole(bytes: &[u8]) -> Vec<u8> {
    let mut value = vec![chunk::WHOLE];
    value.extend_from_slice(bytes);
    value
}
