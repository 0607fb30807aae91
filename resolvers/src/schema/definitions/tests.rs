//! A type system made of parts is the one of the whole text.

use super::*;

fn blocks_of(number: usize, field: &str) -> String {
    format!(
        "type Query {{\n  a{number}: A\n}}\n\n\"With words: type X {{ y }}\"\ntype A {{\n  {field}: Int @tag\n}}\n\n\
         directive @tag on FIELD_DEFINITION\n\ninput In {{\n  a: [Float!] = [1.5]\n}}\n\nenum E {{\n  A\n  B\n}}\n\n\
         scalar S\n"
    )
}

#[test]
fn parts_are_shared_and_come_to_the_whole() {
    let first = Definitions::build(&blocks_of(1, "x"), None).expect("it is valid");
    let mut previous = first;
    for (number, field) in [(1, "x"), (2, "x"), (2, "y"), (1, "x")] {
        let text = blocks_of(number, field);
        let next = Definitions::build(&text, Some(&previous)).expect("it is valid");
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
    let first = Definitions::build(&blocks_of(1, "x"), None).expect("it is valid");
    for wrong in [
        "type Query {\n  a: Nothing\n}\n",
        "type Query {\n  a: Int\n\n",
        "{\n  a\n}\n",
    ] {
        assert!(Definitions::build(wrong, Some(&first)).is_err(), "{wrong}");
        assert!(Definitions::build(wrong, None).is_err(), "{wrong}");
    }
}
