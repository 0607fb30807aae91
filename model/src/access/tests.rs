use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::samples::{Sample, object, sample};
use crate::value::Value;

fn check(value: ValueRef<'_>, sample: &Sample) {
    assert_eq!(value.json(), sample.canonical().as_bytes());
    let items: &[Sample] = if let Sample::List(items) = sample {
        items
    } else {
        &[]
    };
    assert_eq!(value.items().count(), items.len());
    for (item, expected) in value.items().zip(items) {
        check(item, expected);
    }
    let members = sample.members();
    assert_eq!(value.members().count(), members.len());
    for (position, ((name, member), (expected_name, expected))) in
        value.members().zip(&members).enumerate()
    {
        assert_eq!(name, *expected_name);
        check(member, expected);
        assert_eq!(value.get(&name).map(ValueRef::json), Some(member.json()));
        let field = FieldName::new(&name);
        for start in [0, position as u32, position as u32 + 1, u32::MAX] {
            let mut hint = start;
            let found = value.get_hinted(&field, &mut hint).map(ValueRef::json);
            assert_eq!(found, Some(member.json()));
            assert_eq!(hint, position as u32);
        }
    }
    let length = items.len() + members.len();
    assert_eq!(value.len(), length);
    assert_eq!(value.is_empty(), length == 0);
    assert!(value.get("no such name").is_none());
    let mut hint = 7;
    assert!(
        value
            .get_hinted(&FieldName::new("no such\n"), &mut hint)
            .is_none()
    );
    assert_eq!(hint, 7);
    if let Sample::Text(text) = sample {
        assert_eq!(value.as_str().as_deref(), Some(text.as_str()));
    }
}

#[test]
fn paths_lead_through_objects_only() {
    let value = Value::parse(br#"{"a":{"b.c":[{"d":1}],"\"":2}}"#).unwrap();
    let at = |names: &[&str]| {
        let path = FieldPath::new(names.iter().copied()).unwrap();
        value
            .as_ref()
            .at(&path)
            .map(|found| String::from_utf8_lossy(found.json()).into_owned())
    };
    assert_eq!(at(&["a", "b.c"]).as_deref(), Some(r#"[{"d":1}]"#));
    assert_eq!(at(&["a", "\""]).as_deref(), Some("2"));
    assert_eq!(at(&["a", "b.c", "d"]), None);
    assert_eq!(at(&["a", "b", "c"]), None);
    assert_eq!(at(&["b"]), None);
}

#[test]
fn similar_names_are_told_apart() {
    let value = Value::parse(br#"{"ab":1,"a":2,"b":3,"a:":4,"":5,"\\":6,"\\\\":7}"#).unwrap();
    for (name, number) in [
        ("a", 2),
        ("ab", 1),
        ("b", 3),
        ("a:", 4),
        ("", 5),
        ("\\", 6),
        ("\\\\", 7),
    ] {
        assert_eq!(
            value.as_ref().get(name).and_then(ValueRef::as_i64),
            Some(number),
            "{name}"
        );
    }
}

/// Names of one length that differ in one character, wherever that is, are not taken for each other by a hint.
#[test]
fn a_hint_leads_to_no_other_name() {
    for length in 1..=24 {
        let names: Vec<String> = (0..=length)
            .map(|place| {
                let letter = |at| if at == place { 'x' } else { 'a' };
                (0..length).map(letter).collect()
            })
            .collect();
        let members: Vec<String> = (0..=length)
            .map(|place| format!("\"{}\":{place}", names[place]))
            .collect();
        let value = Value::parse(format!("{{{}}}", members.join(",")).as_bytes()).unwrap();
        for (place, name) in names.iter().enumerate() {
            let field = FieldName::new(name);
            for mut hint in 0..=length as u32 {
                let found = value.as_ref().get_hinted(&field, &mut hint);
                assert_eq!(
                    found.and_then(ValueRef::as_i64),
                    Some(place as i64),
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn scalar_lists_are_scanned() {
    let value = Value::parse(br#"["a,b","\",","]","\\",null,-1.5e3,true,""]"#).unwrap();
    let items: Vec<_> = value
        .as_ref()
        .items()
        .map(|item| format!("{item:?}"))
        .collect();
    let expected = [
        r#""a,b""#, r#""\",""#, r#""]""#, r#""\\""#, "null", "-1.5e3", "true", r#""""#,
    ];
    assert_eq!(items, expected);
}

proptest! {
    #[test]
    fn everything_is_found(sample in sample()) {
        check(sample.value().as_ref(), &sample);
    }

    /// Members that are taken one after the other make runs, whose texts are what the members are one by one.
    #[test]
    fn runs_are_their_members(sample in object(), picked in vec(any::<prop::sample::Index>(), 0..12)) {
        let value = sample.value();
        let members: Vec<_> = value.as_ref().raw_members().collect();
        let mut runs: Vec<(MemberRun<'_>, Vec<u8>, usize)> = Vec::new();
        for pick in picked.iter().filter(|_| !members.is_empty()) {
            let position = pick.index(members.len());
            let (label, expected) = members[position];
            let field = FieldName::new(&label_name(label).unwrap());
            let member = value.as_ref().member_hinted(&field, &mut 0).unwrap();
            prop_assert_eq!(member.value().json(), expected.json());
            let text = [label, expected.json()].concat();
            if let Some((run, texts, last)) = runs.last_mut() {
                let is_next = run.push(member);
                prop_assert_eq!(is_next, position == *last + 1);
                if is_next {
                    texts.push(b',');
                    texts.extend(text);
                    *last = position;
                    continue;
                }
            }
            runs.push((MemberRun::of(member), text, position));
        }
        for (run, text, _) in runs {
            prop_assert_eq!(run.text(), text);
        }
    }

    #[test]
    fn hints_hold_between_documents(first in object(), second in object()) {
        for (name, _) in first.members() {
            let field = FieldName::new(name);
            let mut hint = 0;
            for sample in [&first, &second] {
                let value = sample.value();
                let found = value.as_ref().get_hinted(&field, &mut hint).map(ValueRef::to_value);
                prop_assert_eq!(found, value.as_ref().get(name).map(ValueRef::to_value));
            }
        }
    }
}
