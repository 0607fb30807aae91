//! What is found through an index is what is found by looking at every document: for any index, any find, any
//! writes, while the index is built, and at earlier times.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Choice, Deleted, Engine, EngineOptions, ExpiryChange, FieldRef, Find, Found, Index,
    IndexDefinition, IndexStatus, Intent, MaintenanceMode, Position, Predicate, Record, Snapshot,
    Test,
};
use thalweg_model::CollectionId;
use thalweg_storage::{Backend, MemoryBackend};

use crate::fixture::{collection, commit, find_all, id, named};
use crate::pipeline::Stepped;
use crate::world::{self, IDS, Page};

pub(crate) const A: CollectionId = CollectionId(16);

pub(crate) fn definition() -> impl Strategy<Value = IndexDefinition> {
    let field = (
        prop_oneof![
            3 => Just("a"),
            3 => Just("b"),
            2 => Just("c.d"),
            1 => Just("_version"),
            2 => Just("t[]"),
            2 => Just("r[].k"),
        ],
        prop_oneof![3 => Just(""), 1 => Just(" INSTANT")],
        prop_oneof![Just(""), Just(" DESC")],
    );
    proptest::collection::vec(field, 1..4).prop_filter_map("it is a definition", |fields| {
        let texts = fields
            .iter()
            .map(|(name, instant, direction)| format!("{name}{instant}{direction}"));
        IndexDefinition::parse(texts, false).ok()
    })
}

/// What happens to a collection.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Write(Intent),
    CreateIndex(IndexDefinition),
    DropIndex(usize),
    /// A piece of background work.
    Maintain,
    Truncate,
    /// The store is closed and opened.
    Reopen,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        24 => world::write(A).prop_map(Happening::Write),
        8 => Just(Happening::Maintain),
        3 => definition().prop_map(Happening::CreateIndex),
        1 => (0..3usize).prop_map(Happening::DropIndex),
        1 => Just(Happening::Truncate),
        1 => Just(Happening::Reopen),
    ]
}

pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    backend: Arc<MemoryBackend>,
    pub(crate) engine: Engine,
}

fn open(backend: &Arc<MemoryBackend>) -> Engine {
    let options = EngineOptions {
        maintenance: MaintenanceMode::Manual,
        index_page_max: 2,
        ..EngineOptions::default()
    };
    Engine::open(Arc::clone(backend) as Arc<dyn Backend>, options).unwrap()
}

impl World {
    fn new(documents: &[String]) -> World {
        let backend = Arc::new(MemoryBackend::new());
        let world = World {
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            engine: open(&backend),
            backend,
        };
        world.commit(Intent::CreateCollection { name: "a".into() });
        assert_eq!(collection(&world.engine, "a"), A);
        for (json, of) in documents.iter().zip(IDS) {
            world.commit(Intent::Put {
                collection: named("a"),
                id: Some(id(of)),
                document: crate::fixture::document(json),
                expiry: ExpiryChange::KEEP,
            });
        }
        world
    }

    fn commit(&self, intent: Intent) {
        // An increment of something that is no number is refused, and changes nothing.
        let _ = self.runtime.block_on(commit(&self.engine, vec![intent]));
    }

    pub(crate) fn maintain(&self) -> bool {
        self.runtime
            .block_on(self.engine.maintenance().step())
            .unwrap()
    }

    fn indexes(&self) -> Vec<Arc<Index>> {
        self.engine.catalog().by_id(A).unwrap().indexes.to_vec()
    }

    pub(crate) fn apply(&mut self, happening: &Happening) {
        match happening {
            Happening::Write(intent) => self.commit(intent.clone()),
            Happening::CreateIndex(definition) => self.commit(Intent::CreateIndex {
                collection: named("a"),
                definition: definition.clone(),
            }),
            Happening::DropIndex(number) => {
                if let Some(index) = self.indexes().get(*number) {
                    self.commit(Intent::DropIndex {
                        collection: named("a"),
                        definition: index.definition.clone(),
                    });
                }
            }
            Happening::Maintain => {
                self.maintain();
            }
            Happening::Truncate => self.commit(Intent::TruncateCollection { name: "a".into() }),
            Happening::Reopen => {
                self.engine.close();
                self.engine = open(&self.backend);
            }
        }
    }

    /// Every index has the rows of the current documents, no others, and the count of them.
    fn check_rows(&self) {
        let snapshot = self.engine.snapshot().unwrap();
        let everything = Find {
            deleted: Deleted::Include,
            ..find_all(A)
        };
        let documents = snapshot.find(&everything).unwrap().rows;
        for index in self.indexes() {
            if index.status != IndexStatus::Ready {
                continue;
            }
            let of = |record: &Record<'_>| {
                let keys = thalweg_engine::index::rows(&index.definition, record).unwrap();
                let is_deleted = record.is_deleted();
                keys.into_iter().map(move |key| (key, is_deleted))
            };
            let mut expect: Vec<_> = documents.iter().flat_map(of).collect();
            expect.sort();
            assert_eq!(stored_rows(&snapshot, &index), expect, "{index:?}");
            let progress = snapshot.index_progress(A, index.id).unwrap();
            assert_eq!(progress.rows, expect.len() as u64, "{index:?}");
        }
    }
}

/// The keys of the rows of an index, read in pages.
fn stored_rows(snapshot: &Snapshot, index: &Index) -> Vec<(Vec<u8>, bool)> {
    let mut rows: Vec<(Vec<u8>, bool)> = Vec::new();
    loop {
        let after = rows.last().map(|(key, _)| key.as_slice());
        let page = snapshot.index_rows(index.id, after, 3).unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page.into_iter().map(|row| (row.key, row.is_deleted)));
    }
}

/// All that a find says.
pub(crate) fn told(found: &Found<'_>) -> String {
    let rows: Vec<_> = found.rows.iter().map(|row| format!("{row:?}")).collect();
    format!(
        "{rows:#?} {} {} {:?} {:?}",
        found.has_before, found.has_after, found.total, found.dependencies
    )
}

fn choices(snapshot: &Snapshot) -> Vec<Choice> {
    let indexes = &snapshot.catalog().by_id(A).unwrap().indexes;
    let each = indexes.iter().map(|index| Choice::Index(index.id));
    std::iter::once(Choice::Any).chain(each).collect()
}

pub(crate) fn finds(snapshot: &Snapshot, pages: &[Page]) -> Vec<Find> {
    let everything = Find {
        deleted: Deleted::Include,
        ..find_all(A)
    };
    let rows: Vec<Record<'_>> = snapshot.find_by(&everything, Choice::Scan).unwrap().rows;
    pages.iter().map(|page| page.find(A, &rows)).collect()
}

fn check_finds(snapshot: &Snapshot, pages: &[Page]) {
    for find in finds(snapshot, pages) {
        let expect = snapshot.find_by(&find, Choice::Scan).unwrap();
        for choice in choices(snapshot) {
            let found = snapshot.find_by(&find, choice).unwrap();
            assert_eq!(told(&found), told(&expect), "{} {find:#?}", found.plan);
        }
        let counted = snapshot
            .count(A, Arc::clone(&find.filter), find.deleted)
            .unwrap();
        assert!(
            expect.total.is_none_or(|total| total == counted),
            "{find:#?}"
        );
    }
}

/// Finds that differ in what a field has to be, taken together.
fn check_each(snapshot: &Snapshot, pages: &[Page]) {
    let rows = snapshot.find_by(&find_all(A), Choice::Scan).unwrap().rows;
    for field in ["a", "b", "t"] {
        let field = FieldRef::Path(crate::fixture::path(field));
        let FieldRef::Path(path) = &field else {
            continue;
        };
        let values = rows.iter().filter_map(|row| row.document().at(path));
        let tests = values.flat_map(|value| match value.kind() {
            thalweg_model::Kind::List => {
                let items = value.items().map(|item| Test::Eq(item.to_value()));
                items.map(|test| Test::ItemSome(Box::new(test))).collect()
            }
            _ => vec![Test::Eq(value.to_value())],
        });
        let mut each: Vec<Predicate> = tests
            .map(|test| Predicate::Field(field.clone(), test))
            .collect();
        each.push(Predicate::Or(Vec::new()));
        for find in finds(snapshot, pages) {
            let wanted = thalweg_engine::FindEach {
                find,
                field: field.clone(),
                each: each.clone(),
            };
            let found = snapshot.find_each(&wanted).unwrap();
            assert_eq!(found.len(), each.len());
            for (number, found) in found.iter().enumerate() {
                let alone = wanted.one(number);
                let expect = snapshot.find_by(&alone, Choice::Scan).unwrap();
                assert_eq!(told(found), told(&expect), "{} {alone:#?}", found.plan);
            }
        }
    }
}

fn check(documents: &[String], happenings: &[Happening], pages: &[Page]) {
    let mut world = World::new(documents);
    let mut past = vec![world.engine.snapshot().unwrap().ts()];
    for happening in happenings {
        world.apply(happening);
        world.check_rows();
        let snapshot = world.engine.snapshot().unwrap();
        check_finds(&snapshot, pages);
        if matches!(happening, Happening::Truncate) {
            // That leaves no past.
            past.clear();
        }
        past.push(snapshot.ts());
    }
    while world.maintain() {}
    assert!(
        world
            .indexes()
            .iter()
            .all(|index| index.status == IndexStatus::Ready)
    );
    world.check_rows();
    let now = world.engine.snapshot().unwrap();
    check_finds(&now, pages);
    check_each(&now, pages);
    for ts in past {
        // Not as it was seen then: what has been deleted for good since is hidden.
        let then = world.engine.snapshot_at(ts).unwrap();
        check_each(&then, pages);
        for find in finds(&then, pages) {
            let expect = told(&then.find_by(&find, Choice::Scan).unwrap());
            for choice in choices(&now) {
                let found = then.find_by(&find, choice).unwrap();
                assert_eq!(told(&found), expect, "{} {find:#?}", found.plan);
            }
        }
    }
}

/// Pages, of which half take strings in their order as instants.
pub(crate) fn pages() -> impl Strategy<Value = Vec<Page>> {
    let page = (world::page(), any::<bool>()).prop_map(|(mut page, instant)| {
        page.order.iter_mut().for_each(|key| key.instant = instant);
        page
    });
    proptest::collection::vec(page, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_index_finds_what_a_scan_finds(
        documents in proptest::collection::vec(world::document(), 0..8),
        definitions in proptest::collection::vec(definition(), 1..3),
        happenings in proptest::collection::vec(happening(), 0..16),
        pages in pages(),
    ) {
        let created = definitions.into_iter().map(Happening::CreateIndex);
        let all: Vec<_> = created.chain(happenings).collect();
        check(&documents, &all, &pages);
    }
}

/// A write that is never refused.
pub(crate) fn harmless() -> impl Strategy<Value = Intent> {
    world::write(A).prop_filter("it is never refused", |intent| {
        !matches!(intent, Intent::Patch { patch, .. } if patch.operations.iter().any(|it| {
            matches!(it, thalweg_model::PatchOperation::Increment { .. })
        }))
    })
}

/// Writes, and background work on indexes.
fn queued() -> impl Strategy<Value = Vec<Intent>> {
    let one = prop_oneof![
        8 => harmless(),
        2 => (1..4u32).prop_map(|number| Intent::MaintainIndex {
            collection: A,
            index: thalweg_engine::IndexId(number),
        }),
        1 => Just(Intent::TruncateCollection { name: "a".into() }),
    ];
    proptest::collection::vec(one, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A transaction that is run in the line finds through an index what it finds by looking at every document, though
    /// neither documents nor rows of the groups before it are durable.
    #[test]
    fn the_line_finds_through_an_index_what_will_be_durable(
        documents in proptest::collection::vec(world::document(), 0..8),
        definitions in proptest::collection::vec(definition(), 1..4),
        durable in queued(),
        flying in queued(),
        open in queued(),
        pages in pages(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = Stepped::open(Arc::new(MemoryBackend::new()));
            let mut intents = vec![Intent::CreateCollection { name: "a".into() }];
            intents.extend(documents.iter().zip(IDS).map(|(json, of)| Intent::Put {
                collection: named("a"),
                id: Some(id(of)),
                document: crate::fixture::document(json),
                expiry: ExpiryChange::KEEP,
            }));
            let first = world.send_commit(intents).await;
            world.run().await;
            first.await.unwrap().unwrap();
            let created = definitions.iter().map(|definition| Intent::CreateIndex {
                collection: named("a"),
                definition: definition.clone(),
            });
            let maintain = |number| Intent::MaintainIndex {
                collection: A,
                index: thalweg_engine::IndexId(number),
            };
            // The first is ready, others may become so at any time.
            for intent in created.chain([maintain(1)]).chain(durable) {
                let task = world.send_commit(vec![intent]).await;
                world.run().await;
                task.await.unwrap().unwrap();
            }
            let finds = finds(&world.engine.snapshot().unwrap(), &pages);
            let choices = [1, 2, 3].map(|number| Choice::Index(thalweg_engine::IndexId(number)));
            let reads = {
                let (finds, engine) = (finds.clone(), world.engine.clone());
                async move {
                    engine.transact(move |transaction| {
                        transaction.find(&find_all(CollectionId(17)))?;
                        let mut found = Vec::new();
                        for find in &finds {
                            for choice in choices {
                                found.push(shown(&transaction.find_by(find, choice)?));
                            }
                        }
                        transaction.write(crate::fixture::create("log", "{}"))?;
                        Ok(found)
                    }).await
                }
            };
            // The reader reads what the first of them changes, so its first run does not hold.
            let mut tasks = vec![world.send_commit(vec![crate::fixture::create("b", "{}")]).await];
            for intent in flying.iter().chain(&open) {
                tasks.push(world.send_commit(vec![intent.clone()]).await);
            }
            let reader = world.send(reads).await;
            for _ in 0..=flying.len() {
                prop_assert!(world.stepper.step(thalweg_engine::Stage::Order));
            }
            world.hand_over();
            world.order();
            world.run().await;
            let read = reader.await.unwrap().unwrap();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            let snapshot = world.engine.snapshot().unwrap();
            let mut read = read.value.into_iter();
            for find in &finds {
                let expect = shown(&snapshot.find_by(find, Choice::Scan).unwrap().rows);
                for _ in choices {
                    prop_assert_eq!(read.next().unwrap(), expect.clone(), "{:#?}", find);
                }
            }
            Ok(())
        })?;
    }
}

fn shown(rows: &[Record<'_>]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

pub(crate) fn built(documents: &[String], fields: &[&str]) -> World {
    let mut world = World::new(&[]);
    for json in documents {
        world.commit(crate::fixture::create("a", json));
    }
    let definition = IndexDefinition::parse(fields, false).unwrap();
    world.apply(&Happening::CreateIndex(definition));
    while world.maintain() {}
    world
}

pub(crate) fn ordered_by(field: &str, descending: bool) -> Find {
    let key = thalweg_engine::OrderKey {
        field: FieldRef::Path(crate::fixture::path(field)),
        descending,
        instant: false,
    };
    Find {
        order: vec![key].into(),
        ..find_all(A)
    }
}

#[test]
fn values_that_are_cut_come_in_order_page_by_page() {
    let documents: Vec<_> = (0..40u32)
        .map(|n| {
            let long = "x".repeat(if n % 5 == 0 { 185 } else { 300 });
            format!(r#"{{"s":"{long}{:02}","n":{}}}"#, n * 7 % 40, n % 2)
        })
        .collect();
    for fields in [["s", "n"].as_slice(), &["s"], &["s DESC"], &["n", "s DESC"]] {
        let world = built(&documents, fields);
        let snapshot = world.engine.snapshot().unwrap();
        for (descending, from_end) in [(false, false), (false, true), (true, false), (true, true)] {
            let filter = match fields {
                ["n", ..] => Predicate::Field(
                    FieldRef::Path(crate::fixture::path("n")),
                    Test::Eq(crate::fixture::value("1")),
                ),
                _ => Predicate::True,
            };
            let mut find = Find {
                limit: 7,
                from_end,
                filter: Arc::new(filter),
                ..ordered_by("s", descending)
            };
            loop {
                let expect = snapshot.find_by(&find, Choice::Scan).unwrap();
                let found = snapshot.find_by(&find, choices(&snapshot)[1]).unwrap();
                assert!(found.plan.is_ordered() && found.plan.index().is_some());
                assert_eq!(told(&found), told(&expect), "{}", found.plan);
                let position = |row: &Record<'_>| Position::of(row, &find.order);
                if from_end && found.has_before {
                    find.before = found.rows.first().map(position);
                } else if !from_end && found.has_after {
                    find.after = found.rows.last().map(position);
                } else {
                    break;
                }
            }
        }
    }
}

#[test]
fn two_items_that_are_demanded_are_counted_by_documents() {
    let documents = [
        r#"{"t":[1,2]}"#,
        r#"{"t":[1]}"#,
        r#"{"t":[2,3]}"#,
        r#"{"t":[1,3]}"#,
    ];
    let world = built(&documents.map(str::to_owned), &["t[]"]);
    let snapshot = world.engine.snapshot().unwrap();
    let has = |n: &str| Test::ItemSome(Box::new(Test::Eq(crate::fixture::value(n))));
    let t = || FieldRef::Path(crate::fixture::path("t"));
    let both = [has("1"), has("2")].map(|test| Predicate::Field(t(), test));
    for (filter, expect) in [
        (Predicate::And(both.to_vec()), 1),
        (
            Predicate::Field(t(), Test::AllOf(vec![has("1"), has("2")])),
            1,
        ),
        (Predicate::Or(both.to_vec()), 4),
        (both[0].clone(), 3),
    ] {
        let find = Find {
            filter: Arc::new(filter),
            ..find_all(A)
        };
        let found = snapshot.find_by(&find, choices(&snapshot)[1]).unwrap();
        assert!(found.plan.index().is_some());
        assert_eq!(found.total, Some(expect), "{}", found.plan);
    }
}

/// What an index saves: a page reads the documents that it shows and one more, a count reads none.
#[test]
fn few_documents_are_read_through_an_index() {
    let documents: Vec<_> = (0..1000)
        .map(|n| format!(r#"{{"n":{},"m":{n}}}"#, n % 50))
        .collect();
    let world = built(&documents, &["n", "m"]);
    let snapshot = world.engine.snapshot().unwrap();
    let n = FieldRef::Path(crate::fixture::path("n"));
    let of_seven = Arc::new(Predicate::Field(n, Test::Eq(crate::fixture::value("7"))));
    let find = Find {
        filter: Arc::clone(&of_seven),
        limit: 5,
        ..ordered_by("m", true)
    };
    let found = snapshot.find(&find).unwrap();
    assert_eq!(found.plan.to_string(), "1 range of index (n, m), in order");
    assert_eq!(
        (found.rows.len(), found.total, found.rows_read),
        (5, Some(20), 6)
    );
    assert!(!found.scanned);
    let before = snapshot.documents_read();
    assert_eq!(snapshot.count(A, of_seven, Deleted::Exclude).unwrap(), 20);
    let n = FieldRef::Path(crate::fixture::path("n"));
    let most = Test::Compare(
        thalweg_engine::Comparison::Greater,
        crate::fixture::value("7"),
    );
    let most = Arc::new(Predicate::Field(n, most));
    assert_eq!(snapshot.count(A, most, Deleted::Exclude).unwrap(), 42 * 20);
    assert_eq!(snapshot.documents_read(), before);
    let unindexed = Find {
        count_total: false,
        ..ordered_by("m", false)
    };
    let found = snapshot.find(&unindexed).unwrap();
    assert_eq!(found.plan.to_string(), "every document, then sorted");
    assert_eq!((found.rows_read, found.scanned), (1000, true));
}

#[test]
fn a_document_whose_items_begin_alike_is_found_once() {
    let long = "x".repeat(600);
    let documents = [format!(r#"{{"id":"one","t":["{long}0","{long}1"]}}"#)];
    let world = built(&documents, &["t[]", "a"]);
    let test = Test::ItemSome(Box::new(Test::Eq(thalweg_model::Value::string(&format!(
        "{long}0"
    )))));
    let find = Find {
        filter: Arc::new(Predicate::Field(
            FieldRef::Path(crate::fixture::path("t")),
            test,
        )),
        count_total: true,
        ..find_all(A)
    };
    let snapshot = world.engine.snapshot().unwrap();
    let index = world.indexes()[0].id;
    let found = snapshot.find_by(&find, Choice::Index(index)).unwrap();
    assert_eq!(found.plan.index().map(|index| index.id), Some(index));
    assert_eq!((found.rows.len(), found.total), (1, Some(1)));
}

/// A cursor from a list of another filter, in an order by what this filter fixes.
#[test]
fn a_cursor_may_be_of_another_value_than_the_filter_has() {
    let documents: Vec<String> = (0..12)
        .map(|n| format!(r#"{{"a":{},"b":{}}}"#, n % 3, n % 4))
        .collect();
    for fields in [&["a"][..], &["a", "b"], &["b", "a"], &["a DESC", "b"]] {
        let world = built(&documents, fields);
        let snapshot = world.engine.snapshot().unwrap();
        let rows = snapshot.find_by(&find_all(A), Choice::Scan).unwrap().rows;
        let index = Choice::Index(world.indexes()[0].id);
        for descending in [false, true] {
            let order = |field: &str| ordered_by(field, descending).order[0].clone();
            for order in [
                vec![order("a")],
                vec![order("a"), order("b")],
                vec![order("b"), order("a")],
            ] {
                for row in &rows {
                    let position = Some(Position::of(row, &order));
                    for (after, before) in [(position.clone(), None), (None, position)] {
                        let value = thalweg_model::Value::parse(b"1").unwrap();
                        let find = Find {
                            filter: Arc::new(Predicate::Field(
                                FieldRef::Path(crate::fixture::path("a")),
                                Test::Eq(value),
                            )),
                            order: order.clone().into(),
                            after,
                            before,
                            ..find_all(A)
                        };
                        let expect = snapshot.find_by(&find, Choice::Scan).unwrap();
                        let found = snapshot.find_by(&find, index).unwrap();
                        assert_eq!(told(&found), told(&expect), "{} {find:#?}", found.plan);
                    }
                }
            }
        }
    }
}
