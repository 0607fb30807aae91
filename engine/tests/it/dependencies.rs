//! A changed result implies an overlapping dependency; and simple writes that cannot matter overlap none.

use std::sync::Arc;

use proptest::prelude::*;
use thalweg_engine::{
    Commit, Dependency, DependencySet, Engine, ExpiryChange, FieldMask, FieldRef, Find, Found,
    Intent, Predicate, Scope, Test,
};
use thalweg_model::CollectionId;

use crate::fixture::{collection, commit, create, engine, find_all, patch, path, set, value};
use crate::world::{self, IDS, Page};

/// What a client would see of a page.
fn rendered(found: &Found<'_>, page: &Page) -> String {
    let rows: Vec<Vec<String>> = found
        .rows
        .iter()
        .map(|row| {
            page.read
                .iter()
                .map(|field| world::shown(row, field))
                .collect()
        })
        .collect();
    let ids: Vec<_> = found.rows.iter().map(|row| row.id()).collect();
    format!(
        "{ids:?} {rows:?} {} {} {:?}",
        found.has_before, found.has_after, found.total
    )
}

fn check(documents: &[String], page: &Page, write: Intent) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let engine = engine();
    let a = CollectionId(16);
    let mut intents = vec![Intent::CreateCollection { name: "a".into() }];
    intents.extend(documents.iter().zip(IDS).map(|(json, of)| Intent::Put {
        collection: crate::fixture::named("a"),
        id: Some(crate::fixture::id(of)),
        document: crate::fixture::document(json),
        expiry: ExpiryChange::KEEP,
    }));
    runtime.block_on(commit(&engine, intents)).unwrap();
    assert_eq!(collection(&engine, "a"), a);
    let before = engine.snapshot().unwrap();
    let rows = before.find(&find_all(a)).unwrap().rows;
    let find = page.find(a, &rows);
    let found = before.find(&find).unwrap();
    // An increment of something that is no number is refused, and changes nothing.
    let _ = runtime.block_on(commit(&engine, vec![write]));
    let after = engine.snapshot().unwrap();
    let changed = rendered(&found, page) != rendered(&after.find(&find).unwrap(), page);
    if changed {
        let touched = commits(&engine, &before)
            .iter()
            .any(|commit| found.dependencies.touched_by(commit));
        assert!(touched, "the result changed, but no dependency was touched");
        let coarse = with_many_reads(found.dependencies);
        let touched = commits(&engine, &before)
            .iter()
            .any(|commit| coarse.touched_by(commit));
        assert!(touched, "a coarse dependency was not touched");
    }
}

/// The set with so many other reads that it has become coarse.
fn with_many_reads(dependencies: DependencySet) -> DependencySet {
    let others = CollectionId(99);
    let mut set = DependencySet::none();
    for n in 0..999 {
        set.read(Dependency {
            collection: others,
            scope: Scope::Document(crate::fixture::id(&n.to_string())),
            mask: FieldMask::none(),
        });
    }
    assert_eq!(set.reads().len(), 999);
    set.merge(dependencies.clone());
    set.merge(dependencies);
    assert_eq!(set.reads().len(), 2, "one for each collection");
    assert!(set.reads().is_sorted_by_key(|read| read.collection));
    set
}

fn commits(engine: &Engine, since: &thalweg_engine::Snapshot) -> Vec<Arc<Commit>> {
    engine.recent_commits(since.ts()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_changed_result_implies_an_overlapping_dependency(
        documents in proptest::collection::vec(world::document(), 0..8),
        page in world::page(),
        write in world::write(CollectionId(16)),
    ) {
        check(&documents, &page, write);
    }
}

fn above_five(a: CollectionId) -> Find {
    let mut read = FieldMask::none();
    read.add(FieldRef::Path(path("title")));
    let rated = FieldRef::Path(path("rating"));
    let order = thalweg_engine::OrderKey {
        field: rated.clone(),
        descending: true,
        instant: false,
    };
    Find {
        filter: Arc::new(Predicate::Field(
            rated,
            Test::Compare(thalweg_engine::Comparison::Greater, value("5")),
        )),
        order: vec![order].into(),
        limit: 2,
        read,
        ..find_all(a)
    }
}

async fn world() -> (Engine, CollectionId) {
    let engine = engine();
    let documents = [9, 8, 7, 6, 1].map(|rating| {
        create(
            "a",
            &format!(r#"{{"id":"r{rating}","rating":{rating},"title":"t","other":0}}"#),
        )
    });
    commit(&engine, documents.to_vec()).await.unwrap();
    let a = collection(&engine, "a");
    (engine, a)
}

#[tokio::test]
async fn what_cannot_matter_touches_nothing() {
    let (engine, a) = world().await;
    let snapshot = engine.snapshot().unwrap();
    let page_only = Find {
        count_total: false,
        ..above_five(a)
    };
    let page_only = snapshot.find(&page_only).unwrap().dependencies;
    let with_total = snapshot.find(&above_five(a)).unwrap().dependencies;
    for (write, page_touched, total_touched) in [
        // An unread field of a row of the page.
        (patch(a, "r9", vec![set("other", "1")]), false, false),
        // Outside of the filter, before and after.
        (patch(a, "r1", vec![set("rating", "2")]), false, false),
        // A row beyond the page and the one after it.
        (patch(a, "r6", vec![set("title", "\"x\"")]), false, false),
        // It leaves the filter beyond the page: only the count sees it.
        (patch(a, "r6", vec![set("rating", "3")]), false, true),
        // A read field of a row of the page.
        (patch(a, "r8", vec![set("title", "\"x\"")]), true, false),
        // It enters at the top.
        (create("a", r#"{"id":"new","rating":10}"#), true, true),
        // Another collection.
        (create("b", r#"{"rating":10}"#), false, false),
    ] {
        let since = engine.snapshot().unwrap();
        commit(&engine, vec![write.clone()]).await.unwrap();
        let commits = commits(&engine, &since);
        assert_eq!(commits.len(), 1);
        assert_eq!(page_only.touched_by(&commits[0]), page_touched, "{write:?}");
        assert_eq!(
            with_total.touched_by(&commits[0]),
            page_touched || total_touched,
            "{write:?}"
        );
    }
}

#[tokio::test]
async fn a_coarse_set_sees_softly_deleted_documents() {
    let (engine, a) = world().await;
    let delete = |permanent| Intent::Delete {
        collection: a,
        id: crate::fixture::id("r1"),
        permanent,
        if_version: None,
        purge_at: None,
    };
    commit(&engine, vec![delete(false)]).await.unwrap();
    let since = engine.snapshot().unwrap();
    let read = since.find(&above_five(a)).unwrap().dependencies;
    let coarse = with_many_reads(read);
    commit(&engine, vec![delete(true)]).await.unwrap();
    assert!(coarse.touched_by(&commits(&engine, &since)[0]));
}
