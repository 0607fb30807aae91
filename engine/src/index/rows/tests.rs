use thalweg_model::{Document, DocumentId};

use super::*;
use crate::record::SystemFields;

fn record(json: &str) -> Record<'static> {
    let fields = SystemFields {
        id: DocumentId::new("id").unwrap(),
        commit_ts: CommitTs::from_micros(7),
        created_at: 5,
        version: 2,
        deleted_at: None,
        expires_at: None,
        purge_at: None,
        on_expire: None,
        cause: None,
        author: None,
    };
    Record::new(&fields, &Document::parse(json.as_bytes()).unwrap())
}

/// How many rows, and of how many of them some value is null.
fn counted(fields: &[&str], json: &str) -> (usize, usize) {
    let definition = IndexDefinition::parse(fields, false).unwrap();
    let rows = rows_of(&definition, &record(json)).unwrap();
    assert!(rows.is_sorted());
    (rows.len(), rows.iter().filter(|row| row.has_null).count())
}

#[test]
fn a_document_has_a_row_for_each_distinct_item() {
    assert_eq!(counted(&["a"], "{}"), (1, 1));
    assert_eq!(counted(&["a DESC"], r#"{"a":null}"#), (1, 1));
    assert_eq!(
        counted(&["a"], r#"{"a":[1,1]}"#),
        (1, 0),
        "a list as a value"
    );
    assert_eq!(counted(&["a[]"], "{}"), (0, 0));
    assert_eq!(counted(&["a[]"], r#"{"a":1}"#), (0, 0));
    assert_eq!(counted(&["a[]"], r#"{"a":[1,1.0,"1",null]}"#), (3, 1));
    assert_eq!(counted(&["b", "a[] DESC"], r#"{"a":[1,2]}"#), (2, 2));
    assert_eq!(
        counted(&["a[].k"], r#"{"a":[{"k":1},{"k":1},{},3]}"#),
        (2, 1)
    );
    assert_eq!(
        counted(
            &["a[] INSTANT"],
            r#"{"a":["2020-01-01T00:00:00Z","2020-01-01T01:00:00+01:00"]}"#
        ),
        (1, 0)
    );
}

#[test]
fn distinct_items_are_bounded() {
    let definition = IndexDefinition::parse(["a[]"], false).unwrap();
    let of = |distinct: usize, times: usize| {
        let items: Vec<_> = (0..distinct * times)
            .map(|n| (n % distinct).to_string())
            .collect();
        rows_of(
            &definition,
            &record(&format!(r#"{{"a":[{}]}}"#, items.join(","))),
        )
    };
    assert_eq!(
        of(INDEX_ROWS_MAX, 3).map(|rows| rows.len()),
        Ok(INDEX_ROWS_MAX)
    );
    assert_eq!(of(INDEX_ROWS_MAX + 1, 1), Err(TooManyRows));
}

#[test]
fn the_longest_keys_fit() {
    let definition = IndexDefinition::parse(["a", "b"], false).unwrap();
    let long = "\0".repeat(500).replace('\0', "\\u0000");
    let row = rows_of(&definition, &record(&format!(r#"{{"a":"{long}"}}"#))).unwrap();
    let id = "\0".repeat(DocumentId::BYTES_MAX);
    let key = ended_key(IndexId(u32::MAX), &row[0].values, &id, CommitTs::ZERO);
    assert!(key.len() <= thalweg_storage::KEY_BYTES_MAX, "{}", key.len());
}

#[test]
fn cut_values_equal_no_whole_ones() {
    let key = |length: usize| vec![0x55; length];
    let whole = join(&[key(100), key(100)]);
    assert_eq!(whole.len(), VALUES_BYTES_MAX);
    let cut = join(&[key(100), key(101)]);
    assert_eq!(cut.len(), VALUES_BYTES_MAX + 1);
    assert_eq!(cut[..VALUES_PREFIX_BYTES], whole[..VALUES_PREFIX_BYTES]);
    assert_ne!(cut, join(&[key(101), key(100)]), "fields are told apart");
}
