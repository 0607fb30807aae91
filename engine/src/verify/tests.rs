//! What the engine writes is clean; whatever else is in a store is found.

use proptest::prelude::*;
use thalweg_model::{CollectionId, CommitTs, Document, DocumentId};
use thalweg_schema_infer::{CollectionSchema, NameRegistry, Shape};
use thalweg_storage::{MemoryBackend, Write};

use super::*;
use crate::index;
use crate::record::SystemFields;
use crate::statistics::Statistics;
use crate::test_world::{Deed, World, deed, dump, open, tamper, whole};
use crate::vanished;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_the_engine_writes_is_clean(
        deeds in proptest::collection::vec(deed(), 0..50),
        reopened_at in 0..50usize,
    ) {
        let mut world = World::new();
        for (number, deed) in deeds.iter().enumerate() {
            if number == reopened_at {
                world.engine.close();
                world.engine = open(&world.backend, &world.clock);
            }
            world.perform(deed);
        }
        let before = dump(&*world.backend);
        let verification = verify(&*world.backend).unwrap();
        prop_assert_eq!(&verification.findings, &[]);
        prop_assert!(verification.is_clean());
        prop_assert!(dump(&*world.backend) == before, "a check changes nothing");
    }
}

const A: CollectionId = CollectionId(16);

fn put(id: u8, n: u8, filler: usize) -> Deed {
    Deed::Put {
        collection: 0,
        id,
        n,
        filler,
    }
}

/// A store with a bit of everything: documents 1 to 3 of one collection, of which 1 was changed twice, 2 is long and
/// was changed, 3 is softly deleted; and an answer.
fn world() -> World {
    let n = |id| Deed::Increment { collection: 0, id };
    World::after(&[
        put(1, 1, 0),
        n(1),
        n(1),
        put(2, 1, 1_100_000),
        n(2),
        put(3, 3, 0),
        Deed::Delete {
            collection: 0,
            id: 3,
            permanent: false,
        },
        Deed::Once { key: 1, id: 4 },
    ])
}

/// Makes one change and checks that it is found, as that kind and in these words.
#[track_caller]
fn found(kind: FindingKind, words: &str, damage: impl FnOnce(&World) -> Vec<Write>) {
    found_in(&world(), kind, words, damage);
}

#[track_caller]
fn found_in(
    world: &World,
    kind: FindingKind,
    words: &str,
    damage: impl FnOnce(&World) -> Vec<Write>,
) {
    let writes = damage(world);
    assert!(!writes.is_empty());
    tamper(&*world.backend, writes);
    let verification = verify(&*world.backend).unwrap();
    let is_found = |finding: &Finding| {
        finding.kind == kind && format!("{}: {}", finding.place, finding.detail).contains(words)
    };
    assert!(
        verification.findings.iter().any(is_found),
        "{words:?} is not in {:#?}",
        verification.findings
    );
    assert!(verification.counts[&kind] > 0);
}

fn value(world: &World, key: &[u8]) -> Vec<u8> {
    dump(&*world.backend).remove(key).expect("the key is there")
}

fn overwrite(key: Vec<u8>, value: Vec<u8>) -> Vec<Write> {
    vec![Write::Put { key, value }]
}

fn delete(key: Vec<u8>) -> Vec<Write> {
    vec![Write::Delete { key }]
}

/// The keys of a keyspace, in order.
fn keys(world: &World, keyspace: Keyspace) -> Vec<Vec<u8>> {
    let dump = dump(&*world.backend);
    let keys = dump.into_keys();
    keys.filter(|key| Keyspace::of(key) == Some(keyspace))
        .collect()
}

/// The earlier images of document 1, the latest first.
fn history_of_1(world: &World) -> Vec<Vec<u8>> {
    let prefix = keyspace::histories_of(A, "1");
    let keys = keys(world, Keyspace::History).into_iter();
    keys.filter(|key| key.starts_with(&prefix)).collect()
}

/// Document 1 with other system fields.
fn changed(world: &World, change: impl FnOnce(&mut SystemFields)) -> Vec<Write> {
    let key = keyspace::document(A, "1");
    let stored = value(world, &key);
    let record = Record::from_stored(stored.into()).unwrap();
    let mut fields = record.system_fields().unwrap();
    change(&mut fields);
    let changed = Record::new(&fields, &record.to_document().unwrap());
    overwrite(key, changed.stored().to_vec())
}

#[test]
fn an_untouched_world_is_clean_and_counted() {
    let verification = verify(&*world().backend).unwrap();
    assert_eq!(verification.findings, []);
    let counts = (
        verification.collections,
        verification.documents,
        verification.earlier_images,
        verification.log_entries,
    );
    assert_eq!(counts, (1, 4, 4, 8));
    assert_eq!(
        verify(&MemoryBackend::new()).unwrap(),
        Verification::default()
    );
}

#[test]
fn foreign_keys() {
    for key in [
        &b"a"[..],
        b"\0\0\0\0\x02",
        b"\0\0\0\x01\x10",
        b"\0\0\0\0\x7f",
        b"\xfe",
    ] {
        found(FindingKind::Key, "no keyspace", |_| {
            overwrite(key.to_vec(), Vec::new())
        });
    }
    for keyspace in Keyspace::ALL {
        if keyspace != Keyspace::Meta {
            found(FindingKind::Key, "it is no ", |_| {
                overwrite(keyspace.prefix(), Vec::new())
            });
        }
    }
}

#[test]
fn damaged_documents() {
    let kind = FindingKind::Document;
    let one = || keyspace::document(A, "1");
    found(kind, "corrupt", |_| overwrite(one(), whole(b"rubbish")));
    found(kind, "corrupt", |_| overwrite(one(), Vec::new()));
    found(kind, "document \"1\"", |world| {
        let mut stored = value(world, &one());
        let at = stored
            .windows(4)
            .position(|part| part == b"\"n\":")
            .unwrap();
        stored[at + 4] = b'x';
        overwrite(one(), stored)
    });
    found(kind, "field tables", |world| {
        let mut stored = value(world, &one());
        let last = stored.len() - 1;
        stored[last] ^= 1;
        overwrite(one(), stored)
    });
    found(kind, "its id is \"1\"", |world| {
        overwrite(keyspace::document(A, "7"), value(world, &one()))
    });
    found(kind, "version 0", |world| {
        changed(world, |fields| fields.version = 0)
    });
    found(kind, "before it was created", |world| {
        changed(world, |fields| fields.created_at = u64::MAX)
    });
    found(kind, "newer than the newest", |world| {
        changed(world, |fields| {
            fields.commit_ts = CommitTs::from_micros(u64::MAX / 2);
        })
    });
    found(kind, "the log lacks the commit", |_| {
        delete(keyspace::log(CommitTs::from_micros(1_000_000_002)))
    });
    found(kind, "no such collection", |world| {
        overwrite(
            keyspace::document(CollectionId(99), "1"),
            value(world, &one()),
        )
    });
}

#[test]
fn damaged_catalogs() {
    let kind = FindingKind::Collection;
    let stored = |id: &str, json: &str| {
        let fields = SystemFields {
            id: DocumentId::new(id).unwrap(),
            commit_ts: CommitTs::from_micros(1_000_000_000),
            created_at: 1_000_000_000,
            version: 1,
            deleted_at: None,
            expires_at: None,
            purge_at: None,
            on_expire: None,
            cause: None,
            author: None,
        };
        let document = Document::parse(json.as_bytes()).unwrap();
        let key = keyspace::document(crate::catalog::COLLECTIONS, id);
        overwrite(key, Record::new(&fields, &document).stored().to_vec())
    };
    found(kind, "collection is corrupt", |_| stored("16", "{}"));
    found(kind, "describes collection 17", |_| {
        stored("20", r#"{"id":17,"name":"z","createdAt":1}"#)
    });
    found(FindingKind::Names, "lacks names", |_| {
        stored("20", r#"{"id":20,"name":"z","createdAt":1}"#)
    });
}

#[test]
fn damaged_history() {
    let kind = FindingKind::History;
    let edit = |world: &World, index: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let key = history_of_1(world).swap_remove(index);
        let mut value = value(world, &key);
        change(&mut value);
        overwrite(key, value)
    };
    found(kind, "until when", |world| {
        edit(world, 0, &|value| value.truncate(7))
    });
    found(kind, "corrupt", |world| {
        edit(world, 0, &|value| value.truncate(20))
    });
    found(kind, "which cannot be", |world| {
        edit(world, 0, &|value| value[..8].fill(0))
    });
    found(kind, "which cannot be", |world| {
        edit(world, 0, &|value| value[0] = 1)
    });
    found(kind, "between", |world| {
        edit(world, 0, &|value| value[7] = value[7].wrapping_sub(1))
    });
    found(kind, "the next one was written at", |world| {
        edit(world, 1, &|value| value[7] = value[7].wrapping_add(1))
    });
    found(kind, "there is no image", |world| {
        delete(history_of_1(world).swap_remove(0))
    });
    found(kind, "another document or commit", |world| {
        let [later, earlier] = history_of_1(world).try_into().unwrap();
        overwrite(earlier, value(world, &later))
    });
    found(kind, "is followed by version", |world| {
        changed(world, |fields| fields.version = 7)
    });
    found(kind, "the next one was written", |world| {
        changed(world, |fields| {
            fields.commit_ts = CommitTs::from_micros(1_000_000_000);
        })
    });
    found(kind, "no such collection", |world| {
        let old = value(world, &history_of_1(world)[0]);
        let written = CommitTs::from_micros(1_000_000_001);
        overwrite(keyspace::history(CollectionId(99), "1", written), old)
    });
}

#[test]
fn damaged_chunks() {
    found(FindingKind::Document, "long value is corrupt", |world| {
        delete(keys(world, Keyspace::Chunk).pop().unwrap())
    });
    found(FindingKind::History, "long value is corrupt", |world| {
        delete(keys(world, Keyspace::Chunk).swap_remove(0))
    });
    found(FindingKind::Chunk, "no long value", |_| {
        let mut key = keyspace::chunks(&keyspace::document(A, "1"), 5);
        key.extend_from_slice(&[0; 4]);
        overwrite(key, vec![1])
    });
    found(FindingKind::Chunk, "no long value", |_| {
        delete(keyspace::document(A, "2"))
    });
}

#[test]
fn damaged_logs() {
    let kind = FindingKind::Log;
    let last = |world: &World| keys(world, Keyspace::Log).pop().unwrap();
    found(kind, "cannot be read", |world| {
        overwrite(last(world), whole(b"\0\0\0\x01"))
    });
    found(kind, "after the newest", |world| {
        let key = keyspace::log(CommitTs::from_micros(u64::MAX / 2));
        overwrite(key, value(world, &last(world)))
    });
    found(kind, "the image before", |world| {
        delete(history_of_1(world).swap_remove(0))
    });
    found(kind, "the image after", |_| {
        delete(keyspace::document(A, "1"))
    });
    found(kind, "should have been trimmed", |world| {
        let first = keyspace::parse_log(&keys(world, Keyspace::Log)[0]).unwrap();
        let value = first.as_micros().to_be_bytes().to_vec();
        overwrite(keyspace::trimmed(), value)
    });
    found(FindingKind::Head, "lacks the newest", |world| {
        delete(last(world))
    });
    found(FindingKind::Meta, "after the newest", |_| {
        overwrite(
            keyspace::trimmed(),
            u64::MAX.to_be_bytes()[1..]
                .iter()
                .copied()
                .chain([0])
                .collect(),
        )
    });
    found(FindingKind::Meta, "corrupt", |_| {
        overwrite(keyspace::trimmed(), vec![1])
    });
}

#[test]
fn wrong_statistics() {
    let kind = FindingKind::Statistics;
    let key = || keyspace::statistics(A);
    let edit = |world: &World, change: &dyn Fn(&mut Statistics)| {
        let mut statistics = Statistics::decode(&value(world, &key())).unwrap();
        change(&mut statistics);
        overwrite(key(), statistics.encode())
    };
    found(kind, "it counts 4 documents", |world| {
        edit(world, &|it| it.documents += 1)
    });
    found(kind, "2 softly deleted", |world| {
        edit(world, &|it| it.deleted += 1)
    });
    found(kind, "an id of their own", |world| {
        edit(world, &|it| it.foreign_ids += 1)
    });
    found(kind, "its shape", |world| {
        edit(world, &|it| {
            it.shape.add(Document::parse(b"{}").unwrap().root());
        })
    });
    found(kind, "emptied after", |world| {
        edit(world, &|it| it.emptied_ts = CommitTs::MAX)
    });
    found(kind, "its counts are missing", |_| delete(key()));
    found(kind, "corrupt", |_| overwrite(key(), whole(b"")));
    found(kind, "it counts", |_| delete(keyspace::document(A, "1")));
    found(kind, "the catalog has no counts", |world| {
        overwrite(keyspace::statistics(CollectionId(0)), value(world, &key()))
    });
    found(FindingKind::Names, "missing", |_| delete(keyspace::names()));
    found(FindingKind::Names, "corrupt", |_| {
        overwrite(keyspace::names(), whole(b"x"))
    });
}

#[test]
fn wrong_types() {
    let kind = FindingKind::Types;
    found(kind, "corrupt", |_| {
        overwrite(keyspace::types(A), whole(b"x"))
    });
    found(kind, "corrupt", |_| {
        overwrite(keyspace::uses(A), whole(b"x"))
    });
    found(kind, "no such collection", |world| {
        let types = value(world, &keyspace::types(A));
        overwrite(keyspace::types(CollectionId(99)), types)
    });
    found(FindingKind::Key, "no key of types", |world| {
        let types = value(world, &keyspace::types(A));
        let mut key = keyspace::types(A);
        key.push(0);
        overwrite(key, types)
    });
    found(kind, "used after", |_| {
        let mut writes = Vec::new();
        let uses = vanished::Uses::from([(vec!["n".into()], u64::MAX)]);
        vanished::write_uses(A, &uses, &mut writes);
        writes
    });
    found(FindingKind::Names, "lacks names", |world| {
        let mut registry = NameRegistry::new();
        let names = registry.collection("a");
        let document = Document::parse(br#"{"nobody has this":1}"#).unwrap();
        let mut shape = Shape::new();
        shape.add(document.root());
        let types = CollectionSchema::derive(&names, &shape, false, &mut registry);
        let _ = world;
        overwrite(keyspace::types(A), whole(&types.encode()))
    });
}

/// A store from before types were stored has those that its documents have, or had last.
#[test]
fn an_older_store_opens_with_the_types_of_its_documents() {
    for is_emptied in [false, true] {
        let mut world = world();
        let schema = world.engine.catalog().by_name("a").unwrap().schema.clone();
        world.engine.close();
        let mut writes = delete(keyspace::types(A));
        writes.extend(overwrite(keyspace::format(), 1_u32.to_be_bytes().to_vec()));
        if is_emptied {
            let stored = value(&world, &keyspace::statistics(A));
            let statistics = Statistics::decode(&stored).unwrap();
            writes.extend(overwrite(
                keyspace::statistics(A),
                statistics.encode_emptied(),
            ));
            let documents = keys(&world, Keyspace::Document).into_iter();
            let prefix = keyspace::documents(A);
            writes.extend(
                documents
                    .filter(|key| key.starts_with(&prefix))
                    .map(|key| Write::Delete { key }),
            );
        }
        tamper(&*world.backend, writes);
        world.engine = open(&world.backend, &world.clock);
        assert_eq!(world.engine.catalog().by_name("a").unwrap().schema, schema);
        world.perform(&put(5, 5, 0));
        let value = value(&world, &keyspace::types(A));
        assert!(value.len() > 1, "now they are stored");
        let format = dump(&*world.backend).remove(&keyspace::format()).unwrap();
        assert_eq!(format, crate::format::FORMAT.to_be_bytes());
    }
}

/// The world with an index that is ready, and one that is being built and has come to document 2.
fn indexed_world() -> World {
    let world = world();
    world.perform(&Deed::Index {
        collection: 0,
        which: 0,
    });
    for _ in 0..4 {
        world.perform(&Deed::Maintain);
    }
    world.perform(&put(1, 4, 0));
    world.perform(&Deed::Index {
        collection: 0,
        which: 1,
    });
    world.perform(&Deed::Maintain);
    world
}

#[test]
fn wrong_index_rows() {
    let found = |words: &str, damage: &dyn Fn(&World) -> Vec<Write>| {
        found_in(&indexed_world(), FindingKind::Index, words, damage);
    };
    assert_eq!(verify(&*indexed_world().backend).unwrap().findings, []);
    let rows = |world: &World| keys(world, Keyspace::IndexRow);
    let ended = |world: &World| keys(world, Keyspace::EndedRow).swap_remove(0);
    assert!(rows(&indexed_world()).len() > 5, "both indexes have some");
    found("lacks a row", &|world| delete(rows(world).swap_remove(0)));
    found("lacks a row", &|world| delete(rows(world).pop().unwrap()));
    found("lacks a row", &|world| {
        overwrite(rows(world).swap_remove(0), Vec::new())
    });
    found("cannot be read", &|world| {
        overwrite(rows(world).swap_remove(0), vec![1])
    });
    found("should not have", &|world| {
        let mut key = rows(world).swap_remove(0);
        let stored = value(world, &key);
        key[10] ^= 1;
        overwrite(key, stored)
    });
    found("no such index", &|world| {
        let mut key = rows(world).swap_remove(0);
        let stored = value(world, &key);
        key[5] = 9;
        overwrite(key, stored)
    });
    found("rows; there are", &|_| {
        delete(keyspace::index_statistics(index::IndexId(1)))
    });
    found("ended row of no image", &|world| {
        let mut key = ended(world);
        let stored = value(world, &key);
        *key.last_mut().unwrap() ^= 1;
        overwrite(key, stored)
    });
    found("should not have", &|_| delete(keyspace::document(A, "2")));
}

/// Document 1 was deleted for good and document 5 expires.
fn due_world() -> World {
    let world = indexed_world();
    world.perform(&Deed::Delete {
        collection: 0,
        id: 1,
        permanent: true,
    });
    world.perform(&Deed::Expiring {
        collection: 0,
        id: 5,
        seconds: 100,
    });
    world
}

#[test]
fn wrong_marks_and_reminders() {
    let found = |kind, words: &str, damage: &dyn Fn(&World) -> Vec<Write>| {
        found_in(&due_world(), kind, words, damage);
    };
    assert_eq!(verify(&*due_world().backend).unwrap().findings, []);
    let mark = || keyspace::erased(A, "1");
    let dues = |world: &World| keys(world, Keyspace::Due);
    assert_eq!(dues(&due_world()).len(), 2);
    let history = FindingKind::History;
    found(history, "gone, but it is not hidden", &|_| delete(mark()));
    found(history, "came again, but it is not hidden", &|_| {
        let again = Record::new(
            &SystemFields {
                id: DocumentId::new("1").unwrap(),
                commit_ts: CommitTs::from_micros(1_000_000_060),
                created_at: 1_000_000_060,
                version: 1,
                deleted_at: None,
                expires_at: None,
                purge_at: None,
                on_expire: None,
                cause: None,
                author: None,
            },
            &Document::parse(b"{}").unwrap(),
        );
        let put = overwrite(keyspace::document(A, "1"), again.stored().to_vec());
        delete(mark()).into_iter().chain(put).collect()
    });
    found(history, "which cannot be", &|_| {
        overwrite(mark(), u64::MAX.to_be_bytes().to_vec())
    });
    found(history, "which cannot be", &|world| {
        overwrite(mark(), [value(world, &mark()), vec![0]].concat())
    });
    found(history, "deleted for good at", &|world| {
        let mut earlier = value(world, &mark());
        earlier[7] -= 1;
        overwrite(mark(), earlier)
    });
    found(history, "until when something held", &|_| {
        overwrite(mark(), vec![1])
    });
    let due = FindingKind::Due;
    found(due, "it expires at", &|world| {
        delete(dues(world).swap_remove(0))
    });
    found(due, "never be erased", &|world| {
        delete(dues(world).swap_remove(1))
    });
    found(due, "corrupt", &|world| {
        overwrite(dues(world).swap_remove(1), vec![1])
    });
    found(due, "it erases what is before", &|world| {
        overwrite(dues(world).swap_remove(1), Vec::new())
    });
    found(due, "it erases what is before", &|world| {
        overwrite(dues(world).swap_remove(0), vec![1; 8])
    });
    let meta = FindingKind::Meta;
    found(meta, "sweep mark", &|_| {
        overwrite(keyspace::swept(A), vec![1])
    });
    found(meta, "after the newest", &|_| {
        overwrite(keyspace::images_trimmed(A), vec![1; 8])
    });
}

#[test]
fn what_is_erased_leaves_nothing() {
    let world = due_world();
    let of_1 = |world: &World, keyspace| {
        let keys = keys(world, keyspace).into_iter();
        keys.filter(|key| key.windows(3).any(|part| part == b"1\x00\x01"))
            .count()
    };
    assert!(of_1(&world, Keyspace::History) > 0);
    assert!(of_1(&world, Keyspace::EndedRow) > 0);
    world.perform(&Deed::Wait { seconds: 3600 });
    for _ in 0..4 {
        world.perform(&Deed::Upkeep);
    }
    assert_eq!(of_1(&world, Keyspace::History), 0);
    assert_eq!(of_1(&world, Keyspace::EndedRow), 0, "nor its values");
    let verification = verify(&*world.backend).unwrap();
    assert_eq!(verification.findings, []);
}

#[test]
fn wrong_answers() {
    let kind = FindingKind::Answer;
    found(kind, "never be erased", |world| {
        delete(keys(world, Keyspace::AnswerTime).swap_remove(0))
    });
    found(kind, "is missing", |_| delete(keyspace::answer("key 1")));
    found(kind, "cannot be read", |_| {
        overwrite(keyspace::answer("key 1"), whole(b"x"))
    });
    found(kind, "newer", |world| {
        let mut value = value(world, &keyspace::answer("key 1"));
        value[9] = 0x10;
        overwrite(keyspace::answer("key 1"), value)
    });
}

#[test]
fn many_findings_are_counted_and_some_told() {
    let world = world();
    let writes = (0..250_u32).map(|number| Write::Put {
        key: number.to_le_bytes().iter().copied().chain([9]).collect(),
        value: Vec::new(),
    });
    tamper(&*world.backend, writes.collect());
    let verification = verify(&*world.backend).unwrap();
    assert_eq!(verification.findings.len(), Verification::FINDINGS_MAX);
    assert_eq!(verification.counts[&FindingKind::Key], 250);
}

#[test]
fn a_newer_store_is_neither_checked_nor_opened() {
    let world = world();
    tamper(
        &*world.backend,
        overwrite(keyspace::format(), 3_u32.to_be_bytes().to_vec()),
    );
    let refused = verify(&*world.backend).unwrap_err();
    let is_right = |error: &EngineError| {
        matches!(
            error,
            EngineError::Format {
                found: 3,
                supported: 2
            }
        )
    };
    assert!(is_right(&refused), "{refused}");
    let backend = std::sync::Arc::clone(&world.backend);
    let head = backend.snapshot().unwrap().head();
    let opened = crate::Engine::open(backend.clone(), crate::EngineOptions::default());
    assert!(opened.is_err_and(|error| is_right(&error)));
    assert_eq!(
        backend.snapshot().unwrap().head(),
        head,
        "it is not taken over"
    );
}
