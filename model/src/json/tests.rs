use proptest::prelude::*;

use super::*;
use crate::samples::text;

#[test]
fn special_bytes_are_found_at_every_place() {
    for length in 0..40 {
        for place in 0..length {
            for special in 0..=255_u8 {
                for filler in [b'a', 0x20, 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                    let mut bytes = vec![filler; length];
                    bytes[place] = special;
                    let is_special = special < 0x20 || special == b'"' || special == b'\\';
                    let expected = if is_special { place } else { length };
                    assert_eq!(special_offset(&bytes), expected, "{special} at {place}");
                }
            }
        }
    }
}

#[test]
fn broken_string_texts_are_no_text() {
    for broken in [r"\", r"\x", r"\u12", r"\ud800", r"a\udc00b"] {
        assert_eq!(unescape(broken.as_bytes()), None, "{broken}");
    }
    assert_eq!(unescape(b"a\xff"), None);
    assert_eq!(unescape(b"\\n\xff"), None);
}

proptest! {
    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in text()) {
        let mut written = Vec::new();
        write_json_string(&text, &mut written);
        assert_eq!(&written, serde_json::to_string(&text).unwrap().as_bytes());
        let body = &written[1..written.len() - 1];
        assert_eq!(unescape(body).as_deref(), Some(text.as_str()));
    }
}
