//! What the server is told a file is, from its name.
//!
//! `.json` is used for arrays and for a document a line alike, and other names say nothing; there
//! the server looks at how the body begins, so nothing is decided here that it decides better.

use std::path::Path;

/// The content type for the file of that name.
pub(super) fn content_type(name: &Path) -> &'static str {
    let extension = name
        .extension()
        .map(|it| it.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("ndjson" | "jsonl") => "application/x-ndjson",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides() {
        for (name, expected) in [
            ("a.ndjson", "application/x-ndjson"),
            ("b/a.JSONL", "application/x-ndjson"),
            ("a.json", "application/json"),
            ("a.b.csv", "text/csv"),
            ("a.txt", "application/octet-stream"),
            ("json", "application/octet-stream"),
            ("-", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
