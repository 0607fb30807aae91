use super::*;

fn path(text: &str) -> FieldPath {
    FieldPath::new(text.split('.')).unwrap()
}

#[test]
fn a_path_has_a_segment() {
    assert_eq!(FieldPath::new(Vec::<Arc<str>>::new()), None);
    assert_eq!(FieldPath::top("a"), path("a"));
    assert_eq!(FieldPath::top("a").child("b").child("c"), path("a.b.c"));
    assert_eq!(path("a.b").to_string(), "a.b");
}

#[test]
fn overlaps_are_prefixes_by_segment() {
    for (left, right, starts, overlaps) in [
        ("a", "a", true, true),
        ("a.b", "a", true, true),
        ("a", "a.b", false, true),
        ("ab", "a", false, false),
        ("a.b", "a.c", false, false),
        ("b.a", "a", false, false),
    ] {
        assert_eq!(
            path(left).starts_with(&path(right)),
            starts,
            "{left} {right}"
        );
        assert_eq!(
            path(left).overlaps(&path(right)),
            overlaps,
            "{left} {right}"
        );
        assert_eq!(path(right).overlaps(&path(left)), overlaps);
    }
}

#[test]
fn a_path_sorts_directly_before_what_is_under_it() {
    let mut paths = [path("a.b"), path("a!"), path("a"), path("a.b.c"), path("b")];
    paths.sort();
    assert_eq!(
        paths,
        [path("a"), path("a.b"), path("a.b.c"), path("a!"), path("b")]
    );
}
