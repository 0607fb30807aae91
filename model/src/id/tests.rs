use super::*;
use crate::value::Value;

fn id_of(json: &str) -> Option<Result<String, IdError>> {
    let value = Value::parse(json.as_bytes()).unwrap();
    DocumentId::from_value(value.as_ref()).map(|id| id.map(|id| id.to_string()))
}

#[test]
fn lengths_are_checked_in_bytes() {
    assert_eq!(DocumentId::new(""), Err(IdError::Empty));
    assert!(DocumentId::new(&"x".repeat(128)).is_ok());
    assert_eq!(
        DocumentId::new(&"é".repeat(65)),
        Err(IdError::TooLong { bytes: 130 })
    );
    assert_eq!(
        IdError::TooLong { bytes: 130 }.to_string(),
        "a document id has at most 128 bytes, this one has 130"
    );
}

#[test]
fn strings_and_integers_are_ids() {
    assert_eq!(id_of("\"a\\n\""), Some(Ok("a\n".to_owned())));
    assert_eq!(id_of("1"), id_of("\"1\""));
    assert_eq!(id_of("-0"), id_of("0"));
    assert_eq!(
        id_of("12345678901234567890123"),
        Some(Ok("12345678901234567890123".to_owned()))
    );
    assert_eq!(id_of("\"\""), Some(Err(IdError::Empty)));
    for json in ["1.0", "1e3", "null", "true", "[1]", "{}"] {
        assert_eq!(id_of(json), None, "{json}");
    }
}
