use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::*;
use crate::samples::{number, object, sample};

fn path(text: &str) -> FieldPath {
    FieldPath::new(text.split('.')).unwrap()
}

fn value(json: &str) -> Value {
    Value::parse(json.as_bytes()).unwrap()
}

fn values(json: &str) -> Vec<Value> {
    value(json)
        .as_ref()
        .items()
        .map(ValueRef::to_value)
        .collect()
}

fn set(at: &str, json: &str) -> PatchOperation {
    PatchOperation::Set {
        path: path(at),
        value: value(json),
    }
}

fn remove(at: &str) -> PatchOperation {
    PatchOperation::Remove { path: path(at) }
}

fn increment(at: &str, by: &str) -> PatchOperation {
    PatchOperation::Increment {
        path: path(at),
        by: value(by),
    }
}

fn push(at: &str, items: &str) -> PatchOperation {
    PatchOperation::Push {
        path: path(at),
        values: values(items),
    }
}

fn add_to_set(at: &str, items: &str) -> PatchOperation {
    PatchOperation::AddToSet {
        path: path(at),
        values: values(items),
    }
}

fn pull(at: &str, items: &str) -> PatchOperation {
    PatchOperation::Pull {
        path: path(at),
        values: values(items),
    }
}

fn applied<const N: usize>(
    document: &str,
    operations: [PatchOperation; N],
) -> Result<String, PatchError> {
    let document = Document::parse(document.as_bytes()).unwrap();
    let result = apply(
        &document,
        &Patch {
            operations: operations.into(),
        },
    )?;
    Ok(String::from_utf8(result.json().to_vec()).unwrap())
}

#[track_caller]
fn check<const N: usize>(document: &str, operations: [PatchOperation; N], expected: &str) {
    assert_eq!(applied(document, operations).as_deref(), Ok(expected));
}

#[test]
fn set_replaces_in_place_and_appends() {
    check(r#"{"a":1,"b":2}"#, [], r#"{"a":1,"b":2}"#);
    check(
        r#"{"a":1,"b":2}"#,
        [set("a", "null")],
        r#"{"a":null,"b":2}"#,
    );
    check(
        r#"{"a":1}"#,
        [set("c", "3"), set("b", "2")],
        r#"{"a":1,"c":3,"b":2}"#,
    );
    check(
        "{}",
        [set("a.b.c", "1"), set("a.d", "2")],
        r#"{"a":{"b":{"c":1},"d":2}}"#,
    );
    check(
        r#"{"a":[1],"z":0}"#,
        [set("a.b", "1")],
        r#"{"a":{"b":1},"z":0}"#,
    );
    check(r#"{"a":null}"#, [set("a.b", "{}")], r#"{"a":{"b":{}}}"#);
    check(
        r#"{"a\n":{"\"":1}}"#,
        [set("a\n.\"", "2")],
        r#"{"a\n":{"\"":2}}"#,
    );
}

#[test]
fn remove_leaves_no_trace() {
    check(r#"{"a":1,"b":2,"c":3}"#, [remove("a")], r#"{"b":2,"c":3}"#);
    check(
        r#"{"a":1,"b":2,"c":3}"#,
        [remove("b"), remove("c")],
        r#"{"a":1}"#,
    );
    check(r#"{"a":1}"#, [remove("a")], "{}");
    check(r#"{"a":1}"#, [remove("a"), set("b", "1")], r#"{"b":1}"#);
    check(r#"{"a":{"b":1}}"#, [remove("a.b")], r#"{"a":{}}"#);
    check(
        r#"{"a":1}"#,
        [remove("x"), remove("a.b"), remove("x.y.z")],
        r#"{"a":1}"#,
    );
    check(r#"{"a":[{"b":1}]}"#, [remove("a.b")], r#"{"a":[{"b":1}]}"#);
}

#[test]
fn increment_is_exact_for_integers() {
    check(
        r#"{"a":1}"#,
        [increment("a", "2"), increment("b.c", "-0.5")],
        r#"{"a":3,"b":{"c":-0.5}}"#,
    );
    check(
        r#"{"a":9007199254740993}"#,
        [increment("a", "1")],
        r#"{"a":9007199254740994}"#,
    );
    check(
        r#"{"a":18446744073709551615}"#,
        [increment("a", "-1")],
        r#"{"a":18446744073709551614}"#,
    );
    check(r#"{"a":1.5}"#, [increment("a", "1")], r#"{"a":2.5}"#);
    check(r#"{"a":1}"#, [increment("a", "1e20")], r#"{"a":1e20}"#);
    check(r#"{"a":0.5}"#, [increment("a", "0.5")], r#"{"a":1.0}"#);
    check(r#"{"a":null}"#, [increment("a", "7")], r#"{"a":7}"#);

    let not_a_number = Err(PatchError::NotANumber { path: path("a") });
    assert_eq!(applied(r#"{"a":"1"}"#, [increment("a", "1")]), not_a_number);
    assert_eq!(
        applied(r#"{"a":1}"#, [increment("a", "\"1\"")]),
        not_a_number
    );
    assert_eq!(applied("{}", [increment("a", "null")]), not_a_number);
    let out_of_range = Err(PatchError::NumberOutOfRange { path: path("a") });
    let largest = i128::MAX;
    assert_eq!(
        applied(&format!("{{\"a\":{largest}}}"), [increment("a", "1")]),
        out_of_range
    );
    assert_eq!(
        applied(r#"{"a":1.7e308}"#, [increment("a", "1.7e308")]),
        out_of_range
    );
}

#[test]
fn lists_grow_and_shrink_by_value() {
    check(
        r#"{"a":[1]}"#,
        [push("a", "[1,{}]"), push("b", "[[2]]")],
        r#"{"a":[1,1,{}],"b":[[2]]}"#,
    );
    check(r#"{"a":null}"#, [push("a", "[]")], r#"{"a":[]}"#);
    check(
        r#"{"a":[1.0,"x"]}"#,
        [add_to_set("a", "[1,2,2e0,\"x\"]")],
        r#"{"a":[1.0,"x",2]}"#,
    );
    check(
        r#"{"a":[1,1]}"#,
        [add_to_set("a", "[1]"), add_to_set("b", "[3,3]")],
        r#"{"a":[1,1],"b":[3]}"#,
    );
    check(
        r#"{"a":[1,{"x":1,"y":2},1.0,2]}"#,
        [pull("a", r#"[1e0,{"y":2,"x":1}]"#)],
        r#"{"a":[2]}"#,
    );
    check(
        r#"{"a":null}"#,
        [pull("a", "[1]"), pull("b.c", "[1]")],
        r#"{"a":null}"#,
    );

    let not_a_list = Err(PatchError::NotAList { path: path("a") });
    for operation in [push("a", "[1]"), add_to_set("a", "[1]"), pull("a", "[1]")] {
        assert_eq!(applied(r#"{"a":{}}"#, [operation]), not_a_list);
    }
}

#[test]
fn conflicts_are_found_and_order_decides_them() {
    let conflicts = |operations: Vec<PatchOperation>| Patch { operations }.conflicts();
    assert_eq!(
        conflicts(vec![set("a", "1"), set("b", "1"), set("ab", "1")]),
        None
    );
    assert_eq!(conflicts(vec![set("a.b", "1"), set("a.c", "1")]), None);
    let nested = conflicts(vec![set("a.b.c", "1"), set("a!", "1"), remove("a")]);
    assert_eq!(nested, Some((path("a"), path("a.b.c"))));
    assert_eq!(
        conflicts(vec![set("a", "1"), remove("a")]),
        Some((path("a"), path("a")))
    );

    check(
        r#"{"a":1}"#,
        [set("a", "{}"), set("a.b", "2"), increment("a.b", "1")],
        r#"{"a":{"b":3}}"#,
    );
    check(
        r#"{"a":1}"#,
        [remove("a"), push("a", "[1]"), push("a", "[2]")],
        r#"{"a":[1,2]}"#,
    );
}

#[test]
fn results_keep_the_bounds_of_documents() {
    let deep = FieldPath::new(vec!["a"; DEPTH_MAX]).unwrap();
    let operation = |path: &FieldPath| PatchOperation::Set {
        path: path.clone(),
        value: Value::null(),
    };
    assert!(applied("{}", [operation(&deep)]).is_ok());
    let error = applied("{}", [operation(&deep.child("a"))]).unwrap_err();
    assert_eq!(
        error,
        PatchError::PathTooDeep {
            segments: DEPTH_MAX + 1
        }
    );
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    let set = PatchOperation::Set {
        path: deep,
        value: value("[]"),
    };
    let error = applied("{}", [set]).unwrap_err();
    assert!(matches!(error, PatchError::Result(_)), "{error}");
    assert_eq!(error.code(), ErrorCode::LimitExceeded);
    let error = applied(r#"{"a":{"b":"x"}}"#, [increment("a.b", "1")]).unwrap_err();
    assert_eq!(error.to_string(), "a.b cannot be incremented: not a number");
    assert_eq!(error.code(), ErrorCode::BadRequest);
}

/// What the operations mean, on a tree of values, one after the other. `None` is a refusal.
fn model(document: &mut Json, operation: &PatchOperation) -> Option<()> {
    let segments = operation.path().segments();
    let (last, parents) = segments.split_last()?;
    let creates = !matches!(
        operation,
        PatchOperation::Remove { .. } | PatchOperation::Pull { .. }
    );
    let mut at = document;
    for name in parents {
        let is_object = at.get(&**name).is_some_and(Json::is_object);
        if !is_object && !creates {
            return Some(());
        }
        let members = at.as_object_mut()?;
        if !is_object {
            members.insert(name.to_string(), Json::Object(Map::new()));
        }
        at = members.get_mut(&**name)?;
    }
    let members = at.as_object_mut()?;
    let json = |value: &Value| serde_json::from_slice::<Json>(value.json()).unwrap();
    let equal = |left: &Json, right: &Value| value(&left.to_string()) == *right;
    let before = members.get(&**last).cloned();
    let list = match before.clone() {
        None | Some(Json::Null) => Some(Vec::new()),
        Some(Json::Array(items)) => Some(items),
        Some(_) => None,
    };
    let after = match operation {
        PatchOperation::Set { value, .. } => json(value),
        PatchOperation::Remove { .. } => {
            members.shift_remove(&**last);
            return Some(());
        }
        PatchOperation::Increment { by, .. } => match before {
            None | Some(Json::Null) => json(by),
            Some(number) => {
                let (left, right) = (number.to_string(), json(by).to_string());
                match (left.parse::<i128>(), right.parse::<i128>()) {
                    (Ok(left), Ok(right)) => {
                        serde_json::from_str(&(left + right).to_string()).unwrap()
                    }
                    _ => {
                        let sum = number.as_f64()? + json(by).as_f64()?;
                        serde_json::from_str(&format!("{sum:?}")).ok()?
                    }
                }
            }
        },
        PatchOperation::Push { values, .. } => {
            Json::Array(list?.into_iter().chain(values.iter().map(json)).collect())
        }
        PatchOperation::AddToSet { values, .. } => {
            let mut items = list?;
            for value in values {
                if !items.iter().any(|item| equal(item, value)) {
                    items.push(json(value));
                }
            }
            Json::Array(items)
        }
        PatchOperation::Pull { values, .. } => {
            if matches!(before, None | Some(Json::Null)) {
                return Some(());
            }
            let mut items = list?;
            items.retain(|item| !values.iter().any(|value| equal(item, value)));
            Json::Array(items)
        }
    };
    members.insert(last.to_string(), after);
    Some(())
}

fn any_path() -> impl Strategy<Value = FieldPath> {
    let name = prop::sample::select(vec!["a", "b", "", "name", "a\"b", "\n", "é", "new"]);
    prop::collection::vec(name, 1..4).prop_map(|names| FieldPath::new(names).unwrap())
}

fn any_operation() -> impl Strategy<Value = PatchOperation> {
    let items = || prop::collection::vec(sample().prop_map(|sample| sample.value()), 0..4);
    prop_oneof![
        (any_path(), sample()).prop_map(|(path, sample)| {
            PatchOperation::Set {
                path,
                value: sample.value(),
            }
        }),
        any_path().prop_map(|path| PatchOperation::Remove { path }),
        (any_path(), number()).prop_map(|(path, by)| PatchOperation::Increment {
            path,
            by: value(&by)
        }),
        (any_path(), items()).prop_map(|(path, values)| PatchOperation::Push { path, values }),
        (any_path(), items()).prop_map(|(path, values)| PatchOperation::AddToSet { path, values }),
        (any_path(), items()).prop_map(|(path, values)| PatchOperation::Pull { path, values }),
    ]
}

proptest! {
    #[test]
    fn patches_do_what_the_model_does(
        sample in object(),
        operations in prop::collection::vec(any_operation(), 0..5),
    ) {
        let document = Document::from_value(sample.value()).unwrap();
        let mut expected = serde_json::from_slice::<Json>(document.json()).unwrap();
        let outcome = operations.iter().try_for_each(|operation| model(&mut expected, operation));
        let result = apply(&document, &Patch { operations });
        match outcome {
            Some(()) => {
                let result: Json = serde_json::from_slice(result.unwrap().json()).unwrap();
                prop_assert_eq!(result.to_string(), expected.to_string());
            }
            None => prop_assert!(result.is_err()),
        }
    }

    #[test]
    fn conflicts_are_those_of_all_pairs(paths in prop::collection::vec(any_path(), 0..6)) {
        let overlaps = (1..paths.len()).any(|at| paths[..at].iter().any(|p| p.overlaps(&paths[at])));
        let operations = paths.into_iter().map(|path| PatchOperation::Remove { path }).collect();
        prop_assert_eq!(Patch { operations }.conflicts().is_some(), overlaps);
    }
}
