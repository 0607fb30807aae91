//! What is stored of a declaration, and what a write leaves while a field gets another name.

use thalweg_schema_infer::declared::{
    DeclaredField, DeclaredObject, DeclaredScalar, DeclaredType, DefaultValue,
};

use super::*;

fn document(json: &str) -> Document {
    Document::parse(json.as_bytes()).unwrap()
}

fn declared(phase: RenamePhase) -> Declared {
    let field = |name: &str, default| DeclaredField {
        name: name.into(),
        ty: DeclaredType::Scalar(DeclaredScalar::Int),
        is_required: true,
        default,
    };
    Declared {
        schema: DeclaredSchema {
            is_strict: true,
            object: DeclaredObject::new(vec![
                field("new", None),
                field(
                    "d",
                    Some(DefaultValue::Constant(thalweg_model::Value::int(7))),
                ),
            ]),
        },
        backfills: vec![
            Backfill {
                kind: BackfillKind::Rename {
                    rename: Rename {
                        from: "old".into(),
                        to: "new".into(),
                    },
                    phase,
                },
                since: CommitTs::from_micros(5),
                failure: Some("because".into()),
            },
            Backfill {
                kind: BackfillKind::Default {
                    fields: vec!["d".into()],
                },
                since: CommitTs::from_micros(6),
                failure: None,
            },
        ],
    }
}

#[test]
fn what_is_stored_is_read_back() {
    for phase in [RenamePhase::Copying, RenamePhase::Removing] {
        let declared = declared(phase);
        let mut json = b"{\"id\":1".to_vec();
        declared.write_json(&mut json);
        json.push(b'}');
        let stored = Document::parse(&json).unwrap();
        assert_eq!(Declared::from_document(stored.root()), Some(Some(declared)));
    }
    assert_eq!(
        Declared::from_document(document("{\"id\":1}").root()),
        Some(None)
    );
    for corrupt in [
        r#"{"declared":1}"#,
        r#"{"declared":{"strict":false,"fields":[{"name":"a","type":"Strng"}]}}"#,
        r#"{"declared":{"strict":false,"fields":[]},"backfills":[{"since":1}]}"#,
    ] {
        assert_eq!(Declared::from_document(document(corrupt).root()), None);
    }
}

#[test]
fn a_write_leaves_a_field_under_the_names_that_it_has_at_the_time() {
    // How it was before (nothing for a whole document), what was written, and what is there then in either phase.
    let cases = [
        (None, r#"{"old":1}"#, r#"{"old":1,"new":1}"#, r#"{"new":1}"#),
        (None, r#"{"new":1}"#, r#"{"new":1,"old":1}"#, r#"{"new":1}"#),
        (
            None,
            r#"{"old":1,"new":2}"#,
            r#"{"old":2,"new":2}"#,
            r#"{"new":2}"#,
        ),
        (None, r#"{}"#, r#"{}"#, r#"{}"#),
        // By the name that is read while values are copied.
        (
            Some(r#"{"old":1,"new":1}"#),
            r#"{"old":2,"new":1}"#,
            r#"{"old":2,"new":2}"#,
            r#"{"new":2}"#,
        ),
        (
            Some(r#"{"old":1,"new":1}"#),
            r#"{"new":1}"#,
            r#"{}"#,
            r#"{}"#,
        ),
        // By the other one.
        (
            Some(r#"{"old":1,"new":1}"#),
            r#"{"old":1,"new":2}"#,
            r#"{"old":2,"new":2}"#,
            r#"{"new":2}"#,
        ),
        // Of a document that the pass has not come to.
        (
            Some(r#"{"old":1}"#),
            r#"{"old":1}"#,
            r#"{"old":1,"new":1}"#,
            r#"{"new":1}"#,
        ),
        // An old name that comes late.
        (
            Some(r#"{"new":1}"#),
            r#"{"new":1,"old":2}"#,
            r#"{"new":2,"old":2}"#,
            r#"{"new":2}"#,
        ),
    ];
    for (before, written, copying, removing) in cases {
        for (phase, expected) in [
            (RenamePhase::Copying, copying),
            (RenamePhase::Removing, removing),
        ] {
            let mut declared = declared(phase);
            declared.schema.object = DeclaredObject::default();
            let before = before.map(document);
            let way = match &before {
                None => Way::Whole,
                Some(before) => Way::Patch(before.root()),
            };
            let written = document(written);
            let left = declared.conform(&written, way, CommitTs::ZERO).unwrap();
            assert_eq!(left.json(), document(expected).json(), "{phase:?}");
            let again = declared.conform(&left, Way::Whole, CommitTs::ZERO).unwrap();
            assert_eq!(again.json(), left.json(), "{phase:?}");
        }
    }
}

#[test]
fn a_document_on_its_way_has_both_names_and_is_filled() {
    let declared = declared(RenamePhase::Copying);
    let whole = document(r#"{"id":"x","old":1}"#);
    let left = declared
        .conform(&whole, Way::Whole, CommitTs::ZERO)
        .unwrap();
    assert_eq!(left.json(), br#"{"id":"x","old":1,"new":1,"d":7}"#);
    assert!(declared.check(left.root()).is_empty());
    assert!(!declared.check(whole.root()).is_empty());
}
