use super::*;

#[test]
fn only_objects_are_documents() {
    assert_eq!(Document::parse(b" {} ").unwrap().json(), b"{}");
    let error = Document::parse(b" \n[{}]").unwrap_err();
    assert_eq!(error.to_string(), "expected an object at byte 2");
    assert_eq!(
        Document::from_value(Value::null()),
        Err(NotAnObject { kind: Kind::Null })
    );
    assert_eq!(
        Document::from_value(Value::int(1)).unwrap_err().class(),
        ErrorClass::Caller
    );
}

#[test]
fn documents_are_equal_as_values() {
    let left = Document::parse(br#"{"a":1,"b":[2.0]}"#).unwrap();
    let right = Document::parse(br#"{"b":[2],"a":1e0}"#).unwrap();
    assert_eq!(left, right);
    assert_ne!(left.json(), right.json());
    assert_eq!(Value::from(left), *right.as_value());
}
