use proptest::prelude::*;

use super::*;
use crate::edit::{Patch, PatchOperation, apply};
use crate::samples::{Sample, damage, damaged, sample};
use crate::{Document, DocumentId, FieldName, FieldPath, Value, ValueRef, encode_value};

/// Uses every accessor on everything that can be reached.
fn walk(value: ValueRef<'_>) {
    let _ = (
        value.kind(),
        value.len(),
        value.is_empty(),
        value.as_bool(),
        value.as_i64(),
    );
    let _ = (
        value.as_f64(),
        value.as_str(),
        format!("{value:?}"),
        DocumentId::from_value(value),
    );
    let _ = value.to_value();
    for name in ["a", "", "a\"b", "name"] {
        let mut hint = 2;
        let _ = (
            value.get(name),
            value.get_hinted(&FieldName::new(name), &mut hint),
        );
    }
    for item in value.items() {
        assert!(value.start < item.start && item.end < value.end);
        walk(item);
    }
    for (_, member) in value.members() {
        assert!(value.start < member.start && member.end < value.end);
        walk(member);
    }
}

fn use_damaged(stored: Vec<u8>) {
    let Ok(value) = Value::from_stored(Bytes::from(stored)) else {
        return;
    };
    walk(value.as_ref());
    let other = Value::parse(br#"{"a":[1,{"b":2}],"":null}"#).unwrap();
    let _ = (value.cmp(&other), other.cmp(&value), value.cmp(&value));
    encode_value(value.as_ref(), &mut Vec::new());
    if let Ok(document) = Document::from_value(value) {
        let path = FieldPath::top("a").child("b");
        let operations = vec![PatchOperation::Set { path, value: other }];
        let _ = apply(&document, &Patch { operations });
    }
}

#[test]
fn headers_are_checked() {
    use CorruptValue::{Lengths, UnknownFormat};
    let of = |bytes: &[u8]| Value::from_stored(Bytes::copy_from_slice(bytes)).map(|_| ());
    assert_eq!(of(b""), Err(UnknownFormat));
    assert_eq!(of(b"{\"a\":1}"), Err(UnknownFormat));
    assert_eq!(of(&[1]), Err(Lengths));
    assert_eq!(of(&[1, 0, 0, 0, 0]), Err(Lengths));
    assert_eq!(of(&[1, 2, 0, 0, 0, b'1']), Err(Lengths));
    assert_eq!(of(&[1, 1, 0, 0, 0, b'1']), Ok(()));
    assert_eq!(of(&[1, 1, 0, 1, 0, b'1']), Err(Lengths));
    assert_eq!(of(&[1, 1, 0, 0, 0, b'1', 0]), Err(Lengths));
    assert_eq!(of(&[2, 255, 255, 255, 255, 0, 0, 0, 0, b'1']), Err(Lengths));
    assert_eq!(of(&[2, 1, 0, 0, 0, 0, 0, 0, 0, b'1']), Ok(()));
}

#[test]
fn layout_is_stable() {
    let value = Value::parse(br#"{"a":[{}],"b":"x"}"#).unwrap();
    let text = br#"{"a":[{}],"b":"x"}"#;
    let list = [1, 6, 0, 9];
    let root = [2, 1, 5, 1, 10, 14, 0, 18];
    let words: Vec<u8> = list
        .iter()
        .chain(&root)
        .flat_map(|word: &u16| word.to_le_bytes())
        .collect();
    let stored = [&[1, 18, 0, 5, 0][..], text, &words].concat();
    assert_eq!(value.as_stored()[..], stored);
}

#[test]
fn both_widths_read_alike() {
    for items in [10, 3_000, 9_361, 9_362, 9_363, 40_000] {
        let text: Vec<_> = (0..items)
            .map(|number| format!("{{\"n\":{number}}}"))
            .collect();
        let json = format!("{{\"list\":[{}],\"end\":true}}", text.join(","));
        let value = Value::parse(json.as_bytes()).unwrap();
        assert_eq!(
            word_width(value.as_stored()),
            if items < 5_000 { 2 } else { 4 }
        );
        assert_eq!(value.json(), json.as_bytes());
        let list = value.as_ref().get("list").unwrap();
        assert_eq!(list.len(), items);
        for (position, item) in list.items().enumerate() {
            assert_eq!(
                item.get("n").and_then(ValueRef::as_i64),
                Some(position as i64)
            );
        }
        assert_eq!(
            value.as_ref().get("end").and_then(ValueRef::as_bool),
            Some(true)
        );
        assert_eq!(
            Value::from_stored(value.as_stored().clone()).unwrap(),
            value
        );
    }
}

#[test]
fn what_lies_outside_its_container_is_absent() {
    // The tables are `1 1/0 4` and `1 1/5/0 7`.
    for (json, words) in [
        ("[{}]", &[(1, 0), (3, 5), (3, 1), (3, 0)][..]),
        (
            "{\"a\":0}",
            &[
                (1, 0),
                (1, 3),
                (2, 3),
                (2, 6),
                (2, 7),
                (4, 8),
                (4, 5),
                (4, 0),
            ],
        ),
    ] {
        let stored = Value::parse(json.as_bytes()).unwrap().as_stored().to_vec();
        let tables = read_header(&stored).unwrap().tables as usize;
        for (word, offset) in words {
            let mut stored = stored.clone();
            stored[tables + 2 * word] = *offset;
            let value = ValueRef::from_stored(&stored).unwrap();
            assert_eq!(
                value.items().count() + value.members().count(),
                0,
                "{json} {word} {offset}"
            );
        }
    }
}

#[test]
fn a_table_that_names_itself_is_left_behind() {
    // The tables are `1 5/1/0 12` and `1 1/5/1 13`. Let the root claim the inner one, and either
    // member claim either.
    let stored = Value::parse(br#"{"a":{"a":1}}"#)
        .unwrap()
        .as_stored()
        .to_vec();
    let words = stored.len() - 20;
    for (position, table) in [(3, 1), (words + 6, 1), (words + 6, 6), (words + 16, 6)] {
        let mut stored = stored.clone();
        stored[position] = table;
        use_damaged(stored);
    }
}

proptest! {
    #[test]
    fn damaged_bytes_do_no_harm(sample in sample(), damage in damage()) {
        use_damaged(damaged(sample.value().as_stored(), &damage));
    }

    #[test]
    fn damaged_tables_do_no_harm(inner in sample(), damage in damage()) {
        // In an object, so that there is a table.
        let sample = Sample::Object(vec![("a".to_owned(), inner)]);
        let stored = sample.value().as_stored().clone();
        let tables = read_header(&stored).unwrap().tables as usize;
        // Small numbers are the ones that look like offsets.
        let damage: Vec<_> = damage.into_iter().map(|(index, byte)| (index, byte % 64)).collect();
        let damaged = damaged(&stored[tables..], &damage);
        use_damaged([&stored[..tables], &damaged].concat());
    }

    #[test]
    fn random_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..80), text in 0..20_u8) {
        if let Some(header) = bytes.first_chunk_mut::<4>() {
            *header = [1, text, 0, header[3] % 30];
        }
        use_damaged(bytes);
    }

    #[test]
    fn stored_form_comes_back(sample in sample()) {
        let value = sample.value();
        let again = Value::from_stored(value.as_stored().clone()).unwrap();
        prop_assert_eq!(again.json(), value.json());
        prop_assert_eq!(again, value);
    }
}
