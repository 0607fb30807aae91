//! A backup is exactly the state of its timestamp, and a restored store is exactly that.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use thalweg_storage::{
    Backend, Batch, CommitError, EmbeddedBackend, EmbeddedOptions, MemoryBackend, Snapshot,
    StorageError, Usage,
};

use super::read::{Source, write};
use super::*;
use crate::due::DueKind;
use crate::keyspace::Keyspace;
use crate::test_world::{self, Deed, Dump, World, deed, open, small_deed};
use crate::verify::verify;
use crate::{Engine, EngineOptions, Intent};

const PUT: Deed = Deed::Put {
    collection: 0,
    id: 1,
    n: 1,
    filler: 0,
};

/// What a restored store has as the original has it: all but what is derived from documents, indexes and settings.
fn dump(backend: &dyn Backend) -> Dump {
    let derived = [
        Keyspace::IndexStatistics,
        Keyspace::IndexRow,
        Keyspace::EndedRow,
    ];
    let mut dump = test_world::dump(backend);
    dump.retain(|key, _| {
        let keyspace = Keyspace::of(key).unwrap();
        let is_derived = match keyspace {
            Keyspace::Due => keyspace::parse_due(key, &[]).unwrap().kind != DueKind::Erase,
            _ => derived.contains(&keyspace) || key.starts_with(&collections_prefix()),
        };
        !is_derived
    });
    dump
}

fn backup_of(world: &World) -> Vec<u8> {
    let mut file = Vec::new();
    write_stored(&*world.backend, &mut file).unwrap();
    file
}

fn restore(backend: &dyn Backend, file: &[u8]) -> Result<(), BackupError> {
    ProvedBackup::prove(Cursor::new(file))?.restore(backend)
}

fn restored(file: &[u8]) -> MemoryBackend {
    let backend = MemoryBackend::new();
    restore(&backend, file).unwrap();
    backend
}

/// A store that something happens to each time before it is read.
struct Meddled {
    world: &'static World,
    meddle: Mutex<Box<Meddle>>,
}

type Meddle = dyn FnMut(&World) + Send;

impl Backend for Meddled {
    fn name(&self) -> &'static str {
        "meddled"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.meddle.lock()(self.world);
        self.world.backend.snapshot()
    }

    fn commit(&self, _: &Batch) -> Result<(), CommitError> {
        unreachable!("a backup writes nothing")
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.world.backend.usage()
    }
}

/// Makes a backup in pages of about that size while `meanwhile` happens, a deed before each page.
fn backup_while(
    world: &'static World,
    meanwhile: Vec<Deed>,
    page_bytes: usize,
) -> (Dump, Result<Vec<u8>, BackupError>) {
    let before = dump(&*world.backend);
    let mut deeds = meanwhile.into_iter();
    let mut is_first = true;
    let meddled = Meddled {
        world,
        meddle: Mutex::new(Box::new(move |world| {
            if !std::mem::take(&mut is_first)
                && let Some(deed) = deeds.next()
            {
                world.perform(&deed);
            }
        })),
    };
    let pin = world.engine.pin().unwrap();
    let mut file = Vec::new();
    let source = Source::Running {
        backend: &meddled,
        pin: &pin,
    };
    let result = write(source, page_bytes, &mut file);
    (before, result.map(|_| file))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_restored_is_what_was_there(deeds in proptest::collection::vec(deed(), 0..30)) {
        let world = World::after(&deeds);
        let before = dump(&*world.backend);
        let file = backup_of(&world);
        prop_assert_eq!(&dump(&*world.backend), &before, "a backup changes nothing");
        let summary = inspect(&mut &file[..]).unwrap();
        prop_assert_eq!(summary.commit_ts, *world.engine.head().borrow());
        let target = restored(&file);
        prop_assert!(dump(&target) == before);
        prop_assert_eq!(verify(&target).unwrap().findings, vec![]);
        // It goes on from there, with the same types.
        let target = Arc::new(target);
        let engine = open(&target, &world.clock);
        let (old, new) = (world.engine.catalog(), engine.catalog());
        for (old, new) in old.collections().zip(new.collections()) {
            prop_assert_eq!(&old.schema, &new.schema);
            prop_assert_eq!(&old.name, &new.name);
            for (old, new) in old.indexes.iter().zip(new.indexes.iter()) {
                prop_assert_eq!((old.id, &old.status), (new.id, &new.status));
            }
        }
        prop_assert_eq!(engine.snapshot().unwrap().ts(), summary.commit_ts);
        engine.close();
    }

    /// Whatever is written, deleted and trimmed between any two pages, the backup is the state of its beginning.
    #[test]
    fn what_happens_meanwhile_is_not_in_it(
        before in proptest::collection::vec(deed(), 0..20),
        meanwhile in proptest::collection::vec(small_deed(), 0..40),
        page_bytes in 1..2000usize,
    ) {
        // The store is shared with the meddler for as long as the process lives: it is small.
        let world: &'static World = Box::leak(Box::new(World::after(&before)));
        let (then, file) = backup_while(world, meanwhile, page_bytes);
        let target = restored(&file.unwrap());
        prop_assert!(dump(&target) == then);
        prop_assert_eq!(verify(&target).unwrap().findings, vec![]);
        world.engine.close();
    }
}

#[test]
fn a_pin_holds_back_what_the_window_would_let_go() {
    let world: &'static World = Box::leak(Box::new(World::after(&[PUT])));
    let change = |n| Deed::Put {
        collection: 0,
        id: 1,
        n,
        filler: 0,
    };
    world.perform(&change(2));
    let wait = Deed::Wait { seconds: 3600 };
    let meanwhile = vec![wait, change(3), change(4), change(5)];
    let (then, file) = backup_while(world, meanwhile, 1);
    assert!(dump(&restored(&file.unwrap())) == then);
    // Without the pin the same lets go of it.
    world.wait(Duration::from_secs(3600));
    world.perform(&change(6));
    assert!(crate::history::trimmed(&*world.backend.snapshot().unwrap()).unwrap() > CommitTs::ZERO);
    world.engine.close();
}

/// Document 1 of the first collection, deleted for good; and all of it over.
const ERASE: Deed = Deed::Delete {
    collection: 0,
    id: 1,
    permanent: true,
};
const LATER: Deed = Deed::Wait { seconds: 3600 };

#[test]
fn a_pin_holds_back_retention_and_the_erasing_of_hidden_history() {
    let retain = Deed::Configure {
        collection: 0,
        which: test_world::RETAIN_700_SECONDS,
    };
    let increment = Deed::Increment {
        collection: 0,
        id: 2,
    };
    let other = Deed::Put {
        collection: 0,
        id: 2,
        n: 1,
        filler: 0,
    };
    let before = [PUT, PUT, other, increment.clone(), retain, ERASE];
    let world: &'static World = Box::leak(Box::new(World::after(&before)));
    let earlier = |world: &World| {
        let dump = test_world::dump(&*world.backend);
        let all = dump.into_keys();
        all.filter(|key| Keyspace::of(key) == Some(Keyspace::History) && !is_mark(key))
            .filter(|key| !key.starts_with(&keyspace::histories(crate::catalog::COLLECTIONS)))
            .count()
    };
    assert_eq!(earlier(world), 2);
    let mut meanwhile = vec![LATER];
    meanwhile.extend([const { Deed::Upkeep }; 6]);
    meanwhile.push(increment);
    let (then, file) = backup_while(world, meanwhile, 1);
    assert!(dump(&restored(&file.unwrap())) == then);
    assert_eq!(earlier(world), 3, "nothing is erased");
    for _ in 0..6 {
        world.perform(&Deed::Upkeep);
    }
    assert_eq!(earlier(world), 1, "without the pin it is");
    assert_eq!(verify(&*world.backend).unwrap().findings, vec![]);
    world.engine.close();
}

#[test]
fn what_a_document_hid_before_it_was_deleted_for_good_again_is_known() {
    let world: &'static World = Box::leak(Box::new(World::after(&[PUT, ERASE, PUT])));
    let meanwhile = vec![ERASE, PUT, ERASE];
    let (then, file) = backup_while(world, meanwhile, 1 << 20);
    let target = restored(&file.unwrap());
    assert!(dump(&target) == then);
    assert_eq!(verify(&target).unwrap().findings, vec![]);
    world.engine.close();
}

#[test]
fn what_is_restored_expires_when_it_would_have() {
    let world = World::after(&[Deed::Expiring {
        collection: 0,
        id: 1,
        seconds: 10,
    }]);
    let target = Arc::new(restored(&backup_of(&world)));
    world.perform(&LATER);
    let engine = open(&target, &world.clock);
    let documents = |engine: &Engine| {
        let snapshot = engine.snapshot().unwrap();
        let collection = snapshot.catalog().by_name("a").unwrap().id;
        snapshot.statistics(collection).unwrap().documents
    };
    assert_eq!(documents(&engine), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(engine.upkeep_step()).unwrap();
    assert_eq!(documents(&engine), 0);
    engine.close();
}

#[test]
fn a_backup_that_takes_too_long_is_given_up() {
    let world: &'static World = Box::leak(Box::new(World::after(&[PUT])));
    let wait = Deed::Wait {
        seconds: 7 * 60 * 60,
    };
    let change = Deed::Increment {
        collection: 0,
        id: 1,
    };
    let (_, result) = backup_while(world, vec![wait, change], 1);
    assert!(
        matches!(result, Err(BackupError::Overtaken { .. })),
        "{result:?}"
    );
    world.engine.close();
}

#[test]
fn a_collection_that_is_emptied_meanwhile_ends_the_backup() {
    let world: &'static World = Box::leak(Box::new(World::after(&[PUT])));
    let (_, result) = backup_while(world, vec![Deed::Truncate { collection: 0 }], 1 << 20);
    assert!(
        matches!(result, Err(BackupError::Overtaken { .. })),
        "{result:?}"
    );
    world.engine.close();
}

#[test]
fn it_moves_between_backends_both_ways() {
    let world = World::after(&[
        PUT,
        Deed::Put {
            collection: 1,
            id: 0,
            n: 2,
            filler: 3_000_000,
        },
    ]);
    let file = backup_of(&world);
    let directory = tempfile::tempdir().unwrap();
    let embedded = EmbeddedBackend::open(directory.path(), EmbeddedOptions::default()).unwrap();
    restore(&embedded, &file).unwrap();
    assert!(dump(&embedded) == dump(&*world.backend));
    let mut back = Vec::new();
    write_stored(&embedded, &mut back).unwrap();
    assert_eq!(back, file, "the same state is the same file");
}

#[test]
fn a_running_engine_gives_the_same_file() {
    let world = World::after(&[PUT]);
    let mut file = Vec::new();
    let summary = world.engine.backup(&mut file).unwrap();
    assert_eq!(summary.documents, 1);
    assert_eq!(file, backup_of(&world));
}

#[test]
fn every_damage_is_seen_before_anything_is_written() {
    let file = backup_of(&World::after(&[PUT]));
    let target = MemoryBackend::new();
    let refused = |bytes: &[u8]| restore(&target, bytes).unwrap_err();
    for end in 0..file.len() {
        let error = refused(&file[..end]);
        let is_right = match end {
            0..8 => matches!(error, BackupError::NotABackup),
            _ => matches!(error, BackupError::Truncated { at } if at == end as u64),
        };
        assert!(is_right, "cut off at {end}: {error}");
    }
    for at in 0..file.len() {
        for bit in [0x01, 0x80] {
            let mut damaged = file.clone();
            damaged[at] ^= bit;
            refused(&damaged);
        }
    }
    let longer = [&file[..], b"x"].concat();
    assert!(refused(&longer).to_string().contains("something follows"));
    assert_eq!(target.snapshot().unwrap().head(), None);
}

#[test]
fn a_newer_backup_is_refused_by_its_version() {
    let mut file = backup_of(&World::new());
    file[11] = 2;
    let error = inspect(&mut &file[..]).unwrap_err();
    assert!(
        matches!(
            error,
            BackupError::Format {
                found: 2,
                supported: 1
            }
        ),
        "{error}"
    );
}

#[test]
fn one_that_was_given_up_says_why() {
    let mut file = Vec::new();
    let writer = file::BackupWriter::start(&mut file, CommitTs::ZERO).unwrap();
    writer.give_up("the river ran dry").unwrap();
    let error = inspect(&mut &file[..]).unwrap_err();
    assert!(error.to_string().contains("the river ran dry"), "{error}");
}

#[test]
fn only_an_empty_store_takes_a_backup() {
    let world = World::after(&[PUT]);
    let file = backup_of(&world);
    let error = restore(&*world.backend, &file).unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty), "{error}");
    // One that was opened and never written to is empty.
    let empty = World::new();
    restore(&*empty.backend, &file).unwrap();
    assert!(dump(&*empty.backend) == dump(&*world.backend));
    let deposed = empty.commit(Intent::CreateCollection { name: "z".into() });
    assert!(deposed.is_err());
}

/// Fails to commit from some batch on.
struct Failing {
    store: MemoryBackend,
    commits_left: Mutex<usize>,
}

impl Backend for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, StorageError> {
        self.store.snapshot()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut left = self.commits_left.lock();
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => {
                let detail = "the disk".to_owned();
                return Err(CommitError::NotCommitted(StorageError::Full { detail }));
            }
        }
        self.store.commit(batch)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        self.store.usage()
    }
}

#[test]
fn a_store_that_was_restored_in_part_is_refused_until_it_is_whole() {
    let world = World::new();
    for id in 0..12 {
        let filler = 1_200_000;
        world.perform(&Deed::Put {
            collection: 0,
            id,
            n: 1,
            filler,
        });
    }
    let file = backup_of(&world);
    for commits in 1..3 {
        let target = Failing {
            store: MemoryBackend::new(),
            commits_left: Mutex::new(commits),
        };
        restore(&target, &file).unwrap_err();
        let target = Arc::new(target.store);
        let head = target.snapshot().unwrap().head();
        let refused = Engine::open(target.clone(), EngineOptions::default()).err();
        assert!(
            matches!(refused, Some(EngineError::HalfRestored)),
            "{refused:?}"
        );
        assert_eq!(
            target.snapshot().unwrap().head(),
            head,
            "it is not taken over"
        );
        assert!(matches!(verify(&*target), Err(EngineError::HalfRestored)));
        restore(&*target, &file).unwrap();
        assert!(dump(&*target) == dump(&*world.backend));
    }
}
