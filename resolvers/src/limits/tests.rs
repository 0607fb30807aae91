use apollo_compiler::parser::Parser;

use super::*;

fn check(text: &str, limits: &Limits) -> Option<String> {
    let document = Parser::new().parse_ast(text, "operation").unwrap();
    limits
        .check_document(&document)
        .err()
        .map(|failure| failure.to_string())
}

fn tight() -> Limits {
    Limits {
        depth_max: 3,
        aliases_max: 2,
        root_fields_max: 3,
        fields_max: 6,
        variables_max: 1,
        ..Limits::default()
    }
}

#[test]
fn each_bound_is_exact() {
    let limits = tight();
    let allowed = [
        "{ a { b { c } } }",
        "{ x: a y: b c }",
        "{ a { b c d } e }",
        "query ($v: Int) { a }",
        "{ ...F } fragment F on T { a { b } }",
    ];
    for text in allowed {
        assert_eq!(check(text, &limits), None, "{text}");
    }
    let refused = [
        ("{ a { b { c { d } } } }", "nested 4 levels deep; at most 3"),
        ("{ x: a y: b { z: c } }", "has 3 aliases; at most 2"),
        ("{ a b c d }", "has 4 root fields; at most 3"),
        ("{ a { b c d e } f g }", "selects 7 fields; at most 6"),
        (
            "query ($v: Int, $w: Int) { a }",
            "declares 2 variables; at most 1",
        ),
        (
            "{ a { ...F } } fragment F on T { b { c { d } } }",
            "nested 4 levels deep",
        ),
        (
            "{ ...F ... { ...F } } fragment F on T { a b }",
            "has 4 root fields",
        ),
        ("{ a } fragment F on T { x: a y: b z: c }", "has 3 aliases"),
        (
            "query A { a b c } query B { a b c } query C { a }",
            "selects 7 fields",
        ),
    ];
    for (text, message) in refused {
        let found = check(text, &limits).unwrap_or_default();
        assert!(found.contains(message), "{text}: {found}");
    }
}

#[test]
fn fragments_that_spread_themselves_are_refused_at_once() {
    let mut text = "{ ...F0 }".to_owned();
    for n in 0..40 {
        let next = (n + 1) % 40;
        text.push_str(&format!(" fragment F{n} on T {{ ...F{next} ...F{next} }}"));
    }
    let found = check(&text, &Limits::default()).unwrap();
    assert!(found.contains("spreads itself"), "{found}");
}

#[test]
fn long_chains_of_fragments_do_not_overflow() {
    let mut text = "{ ...F0 }".to_owned();
    for n in 0..5_000 {
        text.push_str(&format!(" fragment F{n} on T {{ ...F{} }}", n + 1));
    }
    text.push_str(" fragment F5000 on T { a }");
    assert!(check(&text, &Limits::default()).is_some());
}
