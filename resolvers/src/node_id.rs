//! Global ids: base64url of the collection's number and the document's id. Opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thalweg_model::CollectionId;

/// Appends a global id as a JSON string.
pub(crate) fn write(collection: CollectionId, id: &str, out: &mut Vec<u8>) {
    let text = format!("{}:{id}", collection.0);
    out.push(b'"');
    out.extend_from_slice(URL_SAFE_NO_PAD.encode(text).as_bytes());
    out.push(b'"');
}

/// The collection and the document that a global id names; `None` for any other text.
pub(crate) fn parse(node_id: &str) -> Option<(CollectionId, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(node_id.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (collection, id) = text.split_once(':')?;
    Some((CollectionId(collection.parse().ok()?), id.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_id_names_its_document_again() {
        for id in ["1", "a:b", "", "ü"] {
            let mut out = Vec::new();
            write(CollectionId(7), id, &mut out);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(
                parse(text.trim_matches('"')),
                Some((CollectionId(7), id.to_owned()))
            );
        }
    }

    #[test]
    fn other_text_names_nothing() {
        for text in ["", "x", "====", "bm90aGluZw", "OTk5OTk5OTk5OTk5OjE"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
