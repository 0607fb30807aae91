//! Documents as their text with the real id in it.

use thalweg_engine::Record;
use thalweg_model::{DocumentId, ValueRef, write_json_string};

/// Appends the members of a document, without the braces around them, with its id as the member `id`.
///
/// The stored `id` stands where it says the record's id, as a string or as an integer. Where it is missing or says
/// something else (null, a fraction, another id), the record's id comes first and the stored member is left out: a
/// reader who takes `id` for the document's id would be misled by it.
pub fn write_members_with_id(record: &Record<'_>, out: &mut Vec<u8>) {
    write_members(record.id(), record.document(), out);
}

fn write_members(id: &str, root: ValueRef<'_>, out: &mut Vec<u8>) {
    let stored = root.get("id");
    if stored.is_some_and(|stored| is_id(stored, id)) {
        out.extend_from_slice(inner_text(root));
        return;
    }
    out.extend_from_slice(b"\"id\":");
    write_json_string(id, out);
    if stored.is_none() {
        if !root.is_empty() {
            out.push(b',');
            out.extend_from_slice(inner_text(root));
        }
        return;
    }
    for (name, value) in root.members() {
        if name != "id" {
            out.push(b',');
            write_json_string(&name, out);
            out.push(b':');
            out.extend_from_slice(value.json());
        }
    }
}

fn is_id(stored: ValueRef<'_>, id: &str) -> bool {
    matches!(DocumentId::from_value(stored), Some(Ok(stored)) if stored.as_str() == id)
}

/// The text of an object between its braces.
fn inner_text(object: ValueRef<'_>) -> &[u8] {
    let json = object.json();
    json.get(1..json.len().saturating_sub(1))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use thalweg_model::Value;

    use super::*;

    #[test]
    fn the_stored_id_stands_only_where_it_is_the_id() {
        let cases = [
            ("7", r#"{"a":1,"id":"7"}"#, r#""a":1,"id":"7""#),
            ("7", r#"{"id":7,"a":1}"#, r#""id":7,"a":1"#),
            ("7", r#"{"a":1}"#, r#""id":"7","a":1"#),
            ("7", "{}", r#""id":"7""#),
            ("7", r#"{"id":null}"#, r#""id":"7""#),
            (
                "7",
                r#"{"a":[1],"id":null,"b":2}"#,
                r#""id":"7","a":[1],"b":2"#,
            ),
            ("7", r#"{"id":true,"a":1}"#, r#""id":"7","a":1"#),
            ("7", r#"{"id":7.5,"a":1}"#, r#""id":"7","a":1"#),
            ("7", r#"{"id":"8","a\n":1}"#, r#""id":"7","a\n":1"#),
            ("q\"", r#"{"id":{}}"#, r#""id":"q\"""#),
        ];
        for (id, document, expected) in cases {
            let document = Value::parse(document.as_bytes()).unwrap();
            let mut out = Vec::new();
            write_members(id, document.as_ref(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
