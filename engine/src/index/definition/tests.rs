use thalweg_model::FieldPath;

use super::*;

#[track_caller]
fn check(text: &str, printed: &str, field: &IndexField) {
    assert_eq!(text.parse::<IndexField>().as_ref(), Ok(field), "{text}");
    assert_eq!(field.to_string(), printed);
    assert_eq!(
        printed.parse::<IndexField>().as_ref(),
        Ok(field),
        "{printed}"
    );
}

fn path(names: &[&str]) -> FieldPath {
    FieldPath::new(names.iter().copied()).unwrap()
}

fn plain(field: FieldRef) -> IndexField {
    IndexField {
        field,
        items: None,
        descending: false,
        instant: false,
    }
}

#[test]
fn fields_are_read_and_written() {
    let stored = |names: &[&str]| plain(FieldRef::Path(path(names)));
    check("year", "year", &stored(&["year"]));
    check(
        " address.city  ASC ",
        "address.city",
        &stored(&["address", "city"]),
    );
    check("\"a.b\".c", "\"a.b\".c", &stored(&["a.b", "c"]));
    check("\"plain\"", "plain", &stored(&["plain"]));
    check(
        "\"say \\\"\\\\ [x]\"",
        "\"say \\\"\\\\ [x]\"",
        &stored(&["say \"\\ [x]"]),
    );
    check("_created", "_created", &stored(&["_created"]));
    check("_createdAt", "_createdAt", &plain(FieldRef::CreatedAt));
    check("\"_createdAt\"", "\"_createdAt\"", &stored(&["_createdAt"]));
    check(
        "x.\"_createdAt\"",
        "x.\"_createdAt\"",
        &stored(&["x", "_createdAt"]),
    );
    let descending = IndexField {
        descending: true,
        instant: true,
        ..stored(&["published"])
    };
    check(
        "published instant desc",
        "published INSTANT DESC",
        &descending,
    );
    let tags = IndexField {
        items: Some(ListItems::Whole),
        ..stored(&["tags"])
    };
    check("tags[]", "tags[]", &tags);
    let authors = IndexField {
        items: Some(ListItems::Field(path(&["by", "name"]))),
        descending: true,
        ..stored(&["x", "reviews"])
    };
    check(
        "x.reviews[].by.name DESC",
        "x.reviews[].by.name DESC",
        &authors,
    );
}

#[test]
fn what_is_no_field_is_refused() {
    for text in [
        "",
        " ",
        ".",
        "a.",
        ".a",
        "a..b",
        "a b",
        "a[",
        "a[0]",
        "a[]b",
        "a[].b[]",
        "[]",
        "a DESC INSTANT",
        "a DESC x",
        "\"a",
        "\"a\"b",
        "\"\\x\"",
        "a\"b\"",
    ] {
        assert!(text.parse::<IndexField>().is_err(), "{text:?}");
    }
    let long = "x".repeat(2000);
    assert!(long.parse::<IndexField>().is_err());
}

#[test]
fn definitions_are_checked() {
    let parse = |fields: &[&str]| IndexDefinition::parse(fields, false);
    assert_eq!(parse(&[]), Err(IndexDefinitionError::NoFields));
    let many: Vec<String> = (0..17).map(|n| format!("f{n}")).collect();
    assert_eq!(
        IndexDefinition::parse(&many, false),
        Err(IndexDefinitionError::TooManyFields { fields: 17 })
    );
    assert!(matches!(
        parse(&["a", "b[]", "c[].d"]),
        Err(IndexDefinitionError::TwoLists { .. })
    ));
    assert!(matches!(
        parse(&["a", "a DESC"]),
        Err(IndexDefinitionError::Twice { .. })
    ));
    assert!(matches!(
        parse(&["_id"]),
        Err(IndexDefinitionError::Primary { .. })
    ));
    assert!(matches!(
        parse(&["_createdAt INSTANT"]),
        Err(IndexDefinitionError::Notation { .. })
    ));
    assert_eq!(
        parse(&["tags[]", "year DESC"]).unwrap().to_string(),
        "(tags[], year DESC)"
    );
}
