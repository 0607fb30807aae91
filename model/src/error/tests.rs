use super::*;
use std::collections::HashSet;

#[test]
fn codes_are_distinct_and_spelled_like_constants() {
    let texts: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        let expected = format!("{code:?}")
            .chars()
            .fold(String::new(), |mut text, c| {
                if c.is_ascii_uppercase() && !text.is_empty() {
                    text.push('_');
                }
                text.push(c.to_ascii_uppercase());
                text
            });
        assert_eq!(code.as_str(), expected);
        assert_eq!(code.to_string(), expected);
    }
}

#[test]
fn only_the_codes_of_an_unfinished_or_failed_system_are_not_the_callers() {
    let others: Vec<_> = ErrorCode::ALL
        .iter()
        .filter(|code| code.class() != ErrorClass::Caller)
        .map(|code| (code.as_str(), code.class()))
        .collect();
    assert_eq!(
        others,
        [
            ("TIMEOUT", ErrorClass::Unavailable),
            ("UNAVAILABLE", ErrorClass::Unavailable),
            ("INDETERMINATE", ErrorClass::Indeterminate),
            ("INTERNAL", ErrorClass::Internal),
        ]
    );
}
