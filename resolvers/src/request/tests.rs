use super::*;

fn refused(json: &str) -> String {
    let failure =
        Request::object_from_json("variables", json.as_bytes()).expect_err("must be refused");
    assert_eq!(failure.code(), ErrorCode::BadRequest);
    failure.to_string()
}

#[test]
fn objects_keep_their_digits_and_null_is_none() {
    let read = |json: &str| Request::object_from_json("variables", json.as_bytes()).unwrap();
    assert_eq!(read(r#"{"n": 1.50}"#).unwrap().json(), br#"{"n":1.50}"#);
    assert_eq!(read("null"), None);
}

#[test]
fn other_kinds_are_refused() {
    assert!(refused("{").contains("variables is not valid JSON"));
    assert_eq!(
        refused("\"x\""),
        "\"variables\" must be a JSON object or null"
    );
    assert_eq!(refused("[]"), "\"variables\" must be a JSON object or null");
}
