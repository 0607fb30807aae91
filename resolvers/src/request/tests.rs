use super::*;

fn refused(json: &str) -> String {
    let failure = Request::from_json(json.as_bytes()).expect_err("must be refused");
    assert_eq!(failure.code(), ErrorCode::BadRequest);
    failure.to_string()
}

#[test]
fn members_are_read_and_unknown_ones_ignored() {
    let request = Request::from_json(
        br#"{"query":"{a}","operationName":null,"variables":{"n":1.50},"extensions":{},"id":"1"}"#,
    )
    .unwrap();
    assert_eq!(request.query.as_deref(), Some("{a}"));
    assert_eq!(request.operation_name, None);
    assert_eq!(request.variables.unwrap().json(), br#"{"n":1.50}"#);
    assert!(request.extensions.is_some());
}

#[test]
fn wrong_kinds_are_named() {
    assert!(refused("[]").contains("batches are not supported"));
    assert!(refused("{").contains("not valid JSON"));
    assert_eq!(
        refused(r#"{"query":1}"#),
        "\"query\" must be a string or null"
    );
    assert_eq!(
        refused(r#"{"variables":"x"}"#),
        "\"variables\" must be a JSON object or null"
    );
    assert_eq!(
        refused(r#"{"extensions":[]}"#),
        "\"extensions\" must be a JSON object or null"
    );
}
