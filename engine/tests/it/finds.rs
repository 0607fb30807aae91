//! A find gives what a plain filter, sort and slice of all documents gives.

use proptest::prelude::*;
use thalweg_engine::{CollectionRef, ExpiryChange, Intent};

use crate::fixture::{collection, commit, engine, find_all, id};
use crate::world::{self, IDS, Page};

fn check(documents: &[(String, bool)], page: &Page) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let engine = engine();
    runtime
        .block_on(commit(
            &engine,
            vec![Intent::CreateCollection { name: "a".into() }],
        ))
        .unwrap();
    let a = collection(&engine, "a");
    for ((json, deleted), of) in documents.iter().zip(IDS) {
        let create = Intent::Create {
            collection: CollectionRef::Id(a),
            id: Some(id(of)),
            document: crate::fixture::document(json),
            expiry: ExpiryChange::KEEP,
        };
        let delete = Intent::Delete {
            collection: a,
            id: id(of),
            permanent: false,
            if_version: None,
            purge_at: None,
        };
        let intents = if *deleted {
            vec![create, delete]
        } else {
            vec![create]
        };
        runtime.block_on(commit(&engine, intents)).unwrap();
    }
    let snapshot = engine.snapshot().unwrap();
    let everything = thalweg_engine::Find {
        deleted: thalweg_engine::Deleted::Include,
        ..find_all(a)
    };
    let all = snapshot.find(&everything).unwrap().rows;
    check_page(&snapshot, a, all, page);
}

/// The page of a snapshot that has these documents is what a plain filter, sort and slice of them gives.
pub(crate) fn check_page(
    snapshot: &thalweg_engine::Snapshot,
    a: thalweg_model::CollectionId,
    mut all: Vec<thalweg_engine::Record<'_>>,
    page: &Page,
) {
    let find = page.find(a, &all);
    all.retain(|row| page.deleted.admits(row) && page.filter.matches(row));
    all.sort_by(|a, b| world::compare(a, b, &page.order));
    let total = all.len() as u64;
    let position = |row: &_| thalweg_engine::Position::of(row, &page.order);
    all.retain(|row| {
        find.after
            .as_ref()
            .is_none_or(|after| position(row) > *after)
    });
    all.retain(|row| {
        find.before
            .as_ref()
            .is_none_or(|before| position(row) < *before)
    });
    if page.from_end {
        all.truncate(all.len().saturating_sub(page.offset));
        let more = all.len() > page.limit;
        all.drain(..all.len().saturating_sub(page.limit));
        let found = snapshot.find(&find).unwrap();
        assert_eq!(found.has_before, more);
        assert_same(&found, &all, page.count_total.then_some(total));
    } else {
        all.drain(..page.offset.min(all.len()));
        let more = all.len() > page.limit;
        all.truncate(page.limit);
        let found = snapshot.find(&find).unwrap();
        assert_eq!(found.has_after, more);
        assert_same(&found, &all, page.count_total.then_some(total));
    }
}

fn assert_same(
    found: &thalweg_engine::Found<'_>,
    expect: &[thalweg_engine::Record<'_>],
    total: Option<u64>,
) {
    let ids = |rows: &[thalweg_engine::Record<'_>]| {
        rows.iter()
            .map(|row| row.id().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&found.rows), ids(expect));
    assert_eq!(found.total, total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_find_is_filter_sort_and_slice(
        documents in proptest::collection::vec((world::document(), any::<bool>()), 0..8),
        page in world::page(),
    ) {
        check(&documents, &page);
    }
}

#[test]
fn a_find_that_passes_over_many_documents_is_a_scan() {
    let find = find_all(thalweg_model::CollectionId(16));
    assert!(!find.may_scan());
    let offset = |offset| thalweg_engine::Find {
        offset,
        ..find.clone()
    };
    assert!(!offset(1000).may_scan());
    assert!(offset(1001).may_scan());
}
