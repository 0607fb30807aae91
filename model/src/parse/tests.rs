use proptest::prelude::*;

use super::*;
use crate::json::JsonErrorReason::*;
use crate::samples::{Sample, damage, damaged, sample};
use crate::value::Value;

fn canonical(text: &str) -> String {
    String::from_utf8(Value::parse(text.as_bytes()).unwrap().json().to_vec()).unwrap()
}

#[test]
fn canonical_texts() {
    for (text, expected) in [
        (" null ", "null"),
        ("\t[ 1 , 2.50 , -0 ]\r\n", "[1,2.50,-0]"),
        ("{ \"a\" : { } , \"b\" : [ ] }", r#"{"a":{},"b":[]}"#),
        (r#""\u0041\/\u00e9\u0022\u005c""#, r#""A/é\"\\""#),
        (
            r#""\u0000\u001F\u000a\u0008\u007f""#,
            "\"\\u0000\\u001f\\n\\b\u{7f}\"",
        ),
        (r#""\ud83d\ude00""#, "\"😀\""),
        (r#""\b\f\n\r\t""#, r#""\b\f\n\r\t""#),
        ("1E+05", "1E+05"),
        ("10000000000000000000000001", "10000000000000000000000001"),
        ("1e-7", "1e-7"),
        ("0e999", "0e999"),
        ("1e-999", "1e-999"),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"b":2,"a":3}"#),
        (r#"{"a":1,"\u0061":{"x":1,"x":2}}"#, r#"{"a":{"x":2}}"#),
        (r#"[{"":0,"":[{"z":1,"z":[]}]}]"#, r#"[{"":[{"z":[]}]}]"#),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
        assert_eq!(canonical(expected), expected);
    }
}

#[test]
fn refused_texts() {
    for (text, offset, reason) in [
        ("", 0, UnexpectedEnd),
        ("  ", 2, UnexpectedEnd),
        ("[1,", 3, UnexpectedEnd),
        ("{\"a\":1", 6, UnexpectedEnd),
        ("\"abc", 4, UnexpectedEnd),
        ("\"abc\\", 4, UnexpectedEnd),
        ("-", 1, UnexpectedEnd),
        ("1.", 2, UnexpectedEnd),
        ("1e", 2, UnexpectedEnd),
        ("]", 0, ExpectedValue),
        ("[1,]", 3, ExpectedValue),
        ("[,1]", 1, ExpectedValue),
        ("nul", 0, ExpectedValue),
        ("NaN", 0, ExpectedValue),
        ("+1", 0, ExpectedValue),
        ("\u{feff}1", 0, ExpectedValue),
        ("{1:2}", 1, ExpectedName),
        ("{\"a\":1,}", 7, ExpectedName),
        ("{\"a\" 1}", 5, ExpectedColon),
        ("{\"a\":1 \"b\":2}", 7, ExpectedCommaOrBrace),
        ("{\"a\":1]", 6, ExpectedCommaOrBrace),
        ("[1 2]", 3, ExpectedCommaOrBracket),
        ("[1}", 2, ExpectedCommaOrBracket),
        ("[01]", 2, ExpectedCommaOrBracket),
        ("1 2", 2, TrailingText),
        ("{} }", 3, TrailingText),
        ("trueish", 4, TrailingText),
        ("\"a\nb\"", 2, ControlCharacter),
        (r#""\x""#, 1, InvalidEscape),
        (r#""\u12g4""#, 1, InvalidEscape),
        (r#""\u123""#, 1, InvalidEscape),
        (r#""\ud800""#, 1, LoneSurrogate),
        (r#""\udc00\ud800""#, 1, LoneSurrogate),
        (r#""a\ud800\u0041""#, 2, LoneSurrogate),
        ("-a", 1, InvalidNumber),
        ("1.e5", 2, InvalidNumber),
        ("[1e+]", 4, InvalidNumber),
        (" 1e999", 1, NumberOutOfRange),
        ("-1e400", 0, NumberOutOfRange),
        ("1e-1000000000", 0, NumberOutOfRange),
    ] {
        let expected = JsonError { offset, reason };
        assert_eq!(
            Value::parse(text.as_bytes()).unwrap_err(),
            expected,
            "{text}"
        );
    }
    assert_eq!(
        Value::parse(b"[\"a\xff\"]").unwrap_err(),
        JsonError {
            offset: 3,
            reason: InvalidUtf8
        }
    );
    // Three hundred and ten digits are too many without an exponent too.
    let huge = "9".repeat(310);
    assert_eq!(
        Value::parse(huge.as_bytes()).unwrap_err().reason,
        NumberOutOfRange
    );
    let long = format!("0.{}", "3".repeat(400));
    assert_eq!(canonical(&long), long);
}

#[test]
fn errors_say_what_and_where() {
    let error = Value::parse(b"{\"title\":\"Alien\" \"y\"}").unwrap_err();
    assert_eq!(error.to_string(), "expected ',' or '}' at byte 17");
    let deep = Value::parse("[".repeat(200).as_bytes()).unwrap_err();
    assert_eq!(
        deep.to_string(),
        "nested deeper than 128 levels at byte 128"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert_eq!(canonical(&nested(DEPTH_MAX)), nested(DEPTH_MAX));
    let error = Value::parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!(
        error,
        JsonError {
            offset: DEPTH_MAX,
            reason: TooDeep
        }
    );
    let objects = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    assert_eq!(canonical(&objects(DEPTH_MAX)), objects(DEPTH_MAX));
    assert_eq!(
        Value::parse(objects(DEPTH_MAX + 1).as_bytes())
            .unwrap_err()
            .reason,
        TooDeep
    );
    // Unclosed brackets without end are refused where the bound is passed, at once.
    assert_eq!(
        Value::parse("[".repeat(5_000_000).as_bytes())
            .unwrap_err()
            .reason,
        TooDeep
    );
}

#[test]
fn duplicates_among_many_members() {
    for count in [2, 30, 64, 65, 1000] {
        let mut members: Vec<_> = (0..count)
            .map(|number| format!("\"name{number}\":1"))
            .collect();
        let distinct = format!("{{{}}}", members.join(","));
        assert_eq!(canonical(&distinct), distinct);
        members.push("\"name1\":[{}]".to_owned());
        let doubled = canonical(&format!("{{{}}}", members.join(",")));
        members.remove(1);
        assert_eq!(doubled, format!("{{{}}}", members.join(",")));
    }
}

/// Takes what `serde_json` takes but for the numbers that are documented as out of range.
fn check_acceptance(text: &[u8]) {
    let oracle = serde_json::from_slice::<serde_json::Value>(text);
    match Value::parse(text) {
        Ok(value) => {
            let oracle = oracle.unwrap_or_else(|error| panic!("{value:?} is taken: {error}"));
            let again: serde_json::Value = serde_json::from_slice(value.json()).unwrap();
            assert_eq!(again, oracle);
        }
        Err(JsonError {
            reason: NumberOutOfRange,
            ..
        }) => {}
        Err(error) => assert!(
            oracle.is_err(),
            "{error}: {}",
            String::from_utf8_lossy(text)
        ),
    }
}

/// Without what `serde_json` does not keep as written: it puts a sign before every exponent.
fn without_exponents(sample: Sample) -> Sample {
    match sample {
        Sample::Number(text) => {
            let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
            Sample::Number(mantissa.to_owned())
        }
        Sample::List(items) => Sample::List(items.into_iter().map(without_exponents).collect()),
        Sample::Object(members) => Sample::Object(
            members
                .into_iter()
                .map(|(name, member)| (name, without_exponents(member)))
                .collect(),
        ),
        other => other,
    }
}

proptest! {
    #[test]
    fn messy_text_becomes_canonical(sample in sample(), style in any::<[u8; 32]>()) {
        let messy = sample.messy(&style);
        prop_assert_eq!(canonical(&messy), sample.canonical());
        check_acceptance(messy.as_bytes());
    }

    #[test]
    fn canonical_text_is_that_of_serde_json(sample in sample()) {
        let canonical = without_exponents(sample).canonical();
        let oracle: serde_json::Value = serde_json::from_str(&canonical).unwrap();
        prop_assert_eq!(canonical, serde_json::to_string(&oracle).unwrap());
    }

    #[test]
    fn damaged_text_is_taken_as_serde_json_takes_it(
        sample in sample(),
        style in any::<[u8; 32]>(),
        damage in damage(),
    ) {
        check_acceptance(&damaged(sample.messy(&style).as_bytes(), &damage));
    }

    #[test]
    fn cut_text_is_taken_as_serde_json_takes_it(sample in sample(), cut in any::<prop::sample::Index>()) {
        let text = sample.canonical();
        check_acceptance(&text.as_bytes()[..cut.index(text.len())]);
    }

    #[test]
    fn random_tokens_are_taken_as_serde_json_takes_them(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "a", "0", "1", "-", ".", "e", "+", "true",
            "null", " ", "\"a\"", "\\u", "d83d", "00", "\n",
        ]), 0..12),
    ) {
        check_acceptance(tokens.concat().as_bytes());
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        check_acceptance(&bytes);
    }
}
