//! A type system made of parts is the one of the whole text.

use super::*;

fn parts_of(number: usize, field: &str) -> Vec<Arc<str>> {
    [
        format!("type Query {{\n  a{number}: A\n}}\n"),
        format!("\"With words: type X {{ y }}\"\ntype A {{\n  {field}: Int @tag\n}}\n"),
        "directive @tag on FIELD_DEFINITION\n\ninput In {\n  a: [Float!] = [1.5]\n}\n".to_owned(),
        "enum E {\n  A\n  B\n}\n\nscalar S\n".to_owned(),
    ]
    .map(Arc::from)
    .to_vec()
}

fn build(parts: &[Arc<str>], previous: Option<&Definitions>) -> Result<Definitions, Failure> {
    Definitions::build(parts.iter(), previous)
}

#[test]
fn parts_are_shared_and_come_to_the_whole() {
    let mut parts = parts_of(1, "x");
    let mut previous = build(&parts, None).expect("it is valid");
    for (number, field) in [(1, "x"), (2, "x"), (2, "y"), (1, "x")] {
        let new = parts_of(number, field);
        for (part, new) in parts.iter_mut().zip(new) {
            if **part != *new {
                *part = new;
            }
        }
        let next = build(&parts, Some(&previous)).expect("it is valid");
        let text = parts.join("\n");
        let whole = Schema::parse_and_validate(text, "schema.graphql").expect("it is valid");
        assert_eq!(**next.types(), whole);
        for name in ["In", "E", "S"] {
            let (before, after) = (&previous.types().types[name], &next.types().types[name]);
            let is_shared = match (before, after) {
                (ExtendedType::InputObject(a), ExtendedType::InputObject(b)) => Node::ptr_eq(a, b),
                (ExtendedType::Enum(a), ExtendedType::Enum(b)) => Node::ptr_eq(a, b),
                (ExtendedType::Scalar(a), ExtendedType::Scalar(b)) => Node::ptr_eq(a, b),
                _ => false,
            };
            assert!(is_shared, "{name}");
        }
        previous = next;
    }
}

#[test]
fn a_text_that_is_not_valid_is_refused() {
    let first = build(&parts_of(1, "x"), None).expect("it is valid");
    for wrong in [
        &["type Query {\n  a: Nothing\n}\n"][..],
        &["type Query {\n  a: Int\n\n"],
        &["{\n  a\n}\n"],
        &["type Query {\n  a: Int\n}\n", "type Query {\n  b: Int\n}\n"],
    ] {
        let parts: Vec<Arc<str>> = wrong.iter().map(|part| Arc::from(*part)).collect();
        assert!(build(&parts, Some(&first)).is_err(), "{wrong:?}");
        assert!(build(&parts, None).is_err(), "{wrong:?}");
    }
}
