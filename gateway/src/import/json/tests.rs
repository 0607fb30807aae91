use super::super::record::testing::{Split, split};
use super::*;
use proptest::prelude::*;

fn whole(body: &str) -> Split {
    split(Json::new(), body.as_bytes(), &[usize::MAX])
}

fn ok(line: u64, text: &str) -> (u64, Result<String, String>) {
    (line, Ok(text.to_owned()))
}

#[test]
fn elements_are_cut_out_with_their_lines() {
    let body = "\n[ {\"a\": [1, {}]},\n{\"b\":\"]}\\\"\"}\n,\n{\n\"c\":1\n} ]\n";
    assert_eq!(
        whole(body),
        [
            ok(2, "{\"a\": [1, {}]}"),
            ok(3, "{\"b\":\"]}\\\"\"}"),
            ok(5, "{\n\"c\":1\n}")
        ]
    );
    assert!(whole("[]").is_empty() && whole(" [ \n ] ").is_empty() && whole("").is_empty());
}

#[test]
fn documents_without_an_array_are_cut_out_too() {
    assert_eq!(whole("{\"a\":1}"), [ok(1, "{\"a\":1}")]);
    assert_eq!(
        whole("{\n}\n{\"b\":\n2}"),
        [ok(1, "{\n}"), ok(3, "{\"b\":\n2}")]
    );
}

#[test]
fn what_is_no_object_is_cut_out_for_the_parser_to_refuse() {
    assert_eq!(
        whole("[1,\"a]\",\nnul , [2]]"),
        [ok(1, "1"), ok(1, "\"a]\""), ok(2, "nul"), ok(2, "[2]")]
    );
    assert_eq!(whole("42"), [ok(1, "42")]);
}

/// Checks that exactly one thing is wrong, with which line and message, and that these records are read.
fn check(body: &str, line: u64, message: &str, records: &[&str]) {
    let found = whole(body);
    let errors: Vec<_> = found.iter().filter(|(_, record)| record.is_err()).collect();
    assert_eq!(errors.len(), 1, "{body}: {found:?}");
    assert_eq!(errors[0].0, line, "{body}");
    let text = errors[0].1.as_ref().expect_err("filtered");
    assert!(text.contains(message), "{body}: {text}");
    let texts: Vec<_> = found
        .iter()
        .filter_map(|(_, record)| record.as_deref().ok())
        .collect();
    assert_eq!(texts, records, "{body}");
}

#[test]
fn certain_damage_costs_one_element() {
    check("[{},,{}]", 1, "found ','", &["{}", "{}"]);
    check("[{},\n]", 2, "after ','", &["{}"]);
    check("[{}\n{\"a\":1}, {}]", 2, "expected ','", &["{}", "{}"]);
    check("[{}}, {}]", 1, "expected ','", &["{}", "{}"]);
    let long = format!("[{{}},\n\"{}\",\n{{}}]", "x".repeat(60));
    check(&long, 2, "40 bytes", &["{}", "{}"]);
}

#[test]
fn a_damaged_line_among_whole_ones_costs_that_line() {
    check(
        "[\n{},\n{\"a\":\"x},\n{\"b\":2}\n]",
        3,
        "not closed before the line",
        &["{}", "{\"b\":2}"],
    );
    check(
        "[\n{}\n,{\"a\":[1}\n,{\"b\":2}\n]",
        3,
        "expected ']'",
        &["{}", "{\"b\":2}"],
    );
    check(
        "[\n{},\n{\"a\":1]},\noops\n{\"b\":2}\n]",
        3,
        "expected '}'",
        &["{}", "{\"b\":2}"],
    );
}

#[test]
fn other_damage_stops_the_reading() {
    check("[{}, {\"a\":[1}, {}]", 1, "reading stopped", &["{}"]);
    check("[\n{\"a\":[1},\n{}]", 2, "reading stopped", &[]);
    check("[{\n},\n{\"a\":\"x},\n{}]", 3, "reading stopped", &["{\n}"]);
    check("[{}] {}", 1, "end of the body", &["{}"]);
}

#[test]
fn nesting_is_not_followed_without_end() {
    let found = whole(&"[".repeat(1_100));
    assert!(
        matches!(&found[0], (1, Err(why)) if why.contains("40 bytes")),
        "{found:?}"
    );
    assert!(
        matches!(&found[1], (1, Err(why)) if why.contains("too deeply")),
        "{found:?}"
    );
}

#[test]
fn what_is_not_closed_is_reported() {
    check("[{}", 1, "closes the array", &["{}"]);
    check("[{},\n", 2, "closes the array", &["{}"]);
    check("[", 1, "closes the array", &[]);
    check("[{},\n{\"a\":", 2, "not closed", &["{}"]);
    check("{\"a\":", 1, "not closed", &[]);
}

proptest! {
    #[test]
    fn chunk_boundaries_do_not_matter(
        body in "([{}\\[\\]\",:a\\\\ ]|\n|\\{\\}|,\n\\{\\}){0,200}",
        sizes in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        prop_assert_eq!(split(Json::new(), body.as_bytes(), &sizes), whole(&body));
    }

    #[test]
    fn every_array_of_small_values_is_split_into_them(
        values in proptest::collection::vec("(\\{\\}|\\[1, ?2\\]|\"[ab,{\\]]*\"|-?[0-9]{1,3}|true)", 0..12),
        gap in "[ \n]{0,2}",
    ) {
        let body = format!("[{gap}{}{gap}]", values.join(&format!("{gap},{gap}")));
        let found: Vec<String> =
            whole(&body).into_iter().map(|(_, record)| record.expect("well-formed")).collect();
        prop_assert_eq!(found, values);
    }
}
