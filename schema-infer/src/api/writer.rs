//! Writing SDL: definitions, members, and descriptions that may contain any text.

use crate::types::Field;

/// Longer original names are cut in descriptions.
const QUOTED_CHARACTERS_MAX: usize = 120;

/// Appends definitions to a text, parted by empty lines.
pub(super) struct Writer<'a> {
    out: &'a mut String,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut String) -> Writer<'a> {
        Writer { out }
    }

    /// A definition without a body, such as a scalar.
    pub(super) fn line(&mut self, description: &str, head: &str) {
        self.part();
        self.describe("", description);
        self.out.push_str(head);
        self.out.push('\n');
    }

    /// A definition with a body.
    pub(super) fn block(
        &mut self,
        description: &str,
        head: &[&str],
        body: impl FnOnce(&mut Body<'_>),
    ) {
        self.part();
        self.describe("", description);
        for part in head {
            self.out.push_str(part);
        }
        self.out.push_str(" {\n");
        body(&mut Body { out: self.out });
        self.out.push_str("}\n");
    }

    fn part(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn describe(&mut self, indent: &str, description: &str) {
        describe(indent, description, self.out);
    }
}

/// The members of a definition.
pub(super) struct Body<'a> {
    out: &'a mut String,
}

impl Body<'_> {
    /// A member that needs no words.
    pub(super) fn plain(&mut self, text: &[&str]) {
        self.out.push_str("  ");
        for part in text {
            self.out.push_str(part);
        }
        self.out.push('\n');
    }

    /// A member with a description; none is written for an empty one.
    pub(super) fn member(&mut self, description: &str, text: &[&str]) {
        describe("  ", description, self.out);
        self.plain(text);
    }

    /// A field from the documents; says under which name it is stored if that is another one.
    pub(super) fn field(&mut self, field: &Field, ty: &[&str]) {
        if *field.name != *field.json_name {
            self.out.push_str("  \"Stored as `");
            match field.json_name.char_indices().nth(QUOTED_CHARACTERS_MAX) {
                Some((end, _)) => {
                    escape(&field.json_name[..end], self.out);
                    self.out.push('…');
                }
                None => escape(&field.json_name, self.out),
            }
            self.out.push_str("`.\"\n");
        }
        self.out.push_str("  ");
        self.out.push_str(&field.name);
        for (index, part) in ty.iter().enumerate() {
            self.out.push_str(if index == 0 { ": " } else { "" });
            self.out.push_str(part);
        }
        if let Some(deprecated) = field.deprecated {
            self.out.push_str(" @deprecated(reason: \"");
            escape(&deprecated.reason(), self.out);
            self.out.push_str("\")");
        }
        self.out.push('\n');
    }
}

fn describe(indent: &str, description: &str, out: &mut String) {
    if !description.is_empty() {
        out.push_str(indent);
        out.push('"');
        escape(description, out);
        out.push_str("\"\n");
    }
}

/// Escapes as a GraphQL quoted string demands (October 2021 specification, section 2.9.4).
pub(super) fn escape(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    // Nearly all of them, and there are many.
    if text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Line separators and the byte order mark are legal, but editors disagree on them.
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(char::from(HEX[(character as usize >> shift) & 0xf]));
                }
            }
            _ => out.push(character),
        }
    }
}
