//! Where the grammar and the parser in use differ, found on the tokens of the text before it is parsed.
//!
//! - *Colons*: between a name and its value, in arguments and objects, the parser lets one be missing, and forgets the name
//!   then.
//! - *Descriptions* of operations, fragments and variables are of the specification of 2025, and the parser is of an older
//!   one. They mean nothing to who runs the operation, so they are made white space, which leaves everything else in its place.
//!
//! The text may be anything: what is no token is passed over, since the parser is going to refuse it. All of it takes time
//! linear in the text.

use std::borrow::Cow;
use std::ops::Range;

use apollo_compiler::ast::Document;

use crate::failure::Location;

/// A text as the parser is to see it, and what it would not see.
#[derive(Debug)]
pub(super) struct Read<'t> {
    /// The text without the descriptions of what is executed.
    pub(super) text: Cow<'t, str>,
    /// The names of arguments and of an object's fields after which the colon is missing, in the text as it came.
    pub(super) without_colon: Vec<Range<usize>>,
}

/// Reads the tokens of a text.
pub(super) fn read(text: &str) -> Read<'_> {
    let mut reader = Reader::default();
    let mut tokens = Tokens { text, at: 0 };
    while let Some(token) = tokens.next() {
        reader.take(token, text);
    }
    reader.end();
    // One that is no string is left to the parser, which is going to refuse it.
    let mut descriptions = reader.descriptions;
    descriptions.retain(|range| is_string(&text[range.clone()]));
    Read {
        text: without(text, &descriptions),
        without_colon: reader.without_colon,
    }
}

/// The line and the column, from 1, that a byte of the text is at.
pub(super) fn location(text: &str, offset: usize) -> Option<Location> {
    let before = text.get(..offset)?;
    let line_start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let returns = before.matches('\r').count();
    let feeds = before.matches('\n').count() - before.matches("\r\n").count();
    Some(Location {
        line: 1 + returns + feeds,
        column: 1 + before[line_start..].chars().count(),
    })
}

/// Whether what looks like a string is one, with its escapes: the parser says so, of a value.
fn is_string(written: &str) -> bool {
    let document = format!("{{a(a:{written})}}");
    Document::parse(document, "description").is_ok()
}

/// The text with white space instead of some strings: as many characters on as many lines.
fn without<'t>(text: &'t str, strings: &[Range<usize>]) -> Cow<'t, str> {
    if strings.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut rest = String::with_capacity(text.len());
    let mut kept = 0;
    for string in strings {
        rest.push_str(&text[kept..string.start]);
        let blank = |character| {
            if matches!(character, '\n' | '\r') {
                character
            } else {
                ' '
            }
        };
        rest.extend(text[string.clone()].chars().map(blank));
        kept = string.end;
    }
    rest.push_str(&text[kept..]);
    Cow::Owned(rest)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    String,
    Number,
    /// Of one character, which is ASCII. The three dots are three tokens here.
    Punctuator(u8),
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    range: Range<usize>,
}

/// What the tokens at hand stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// Arguments or variables.
    Parentheses,
    /// The value of an argument, or a part of it.
    Object,
    /// A value or a type.
    List,
    /// Selections, or whatever else has braces outside of parentheses.
    Selections,
}

#[derive(Default)]
struct Reader {
    inside: Vec<Inside>,
    before: Option<Kind>,
    /// A name that must be followed by a colon.
    key: Option<Range<usize>>,
    /// A string that is a description if the next token can have one.
    description: Option<Range<usize>>,
    without_colon: Vec<Range<usize>>,
    descriptions: Vec<Range<usize>>,
}

impl Reader {
    fn take(&mut self, token: Token, text: &str) {
        if let Some(key) = self.key.take()
            && token.kind != Kind::Punctuator(b':')
        {
            self.without_colon.push(key);
        }
        if let Some(description) = self.description.take()
            && self.can_be_described(&token, text)
        {
            self.descriptions.push(description);
        }
        match token.kind {
            Kind::Name if self.is_key() => self.key = Some(token.range),
            Kind::String if self.is_description() => self.description = Some(token.range),
            Kind::Punctuator(b'(') => self.inside.push(Inside::Parentheses),
            Kind::Punctuator(b'[') => self.inside.push(Inside::List),
            Kind::Punctuator(b'{') => self.inside.push(match self.inside.last() {
                None | Some(Inside::Selections) => Inside::Selections,
                Some(_) => Inside::Object,
            }),
            Kind::Punctuator(b')' | b']' | b'}') => {
                self.inside.pop();
            }
            Kind::Name | Kind::String | Kind::Number | Kind::Punctuator(_) => {}
        }
        self.before = Some(token.kind);
    }

    fn end(&mut self) {
        self.without_colon.extend(self.key.take());
    }

    /// Whether a name at this place is that of an argument or of an object's field.
    fn is_key(&self) -> bool {
        let is_value = matches!(self.before, Some(Kind::Punctuator(b':' | b'=')));
        let is_other = matches!(self.before, Some(Kind::Punctuator(b'$' | b'@')));
        let names = matches!(
            self.inside.last(),
            Some(Inside::Parentheses | Inside::Object)
        );
        names && !is_value && !is_other
    }

    /// Whether a string at this place is no value.
    fn is_description(&self) -> bool {
        match self.inside.last() {
            None => matches!(self.before, None | Some(Kind::Punctuator(b'}'))),
            Some(Inside::Parentheses) => !matches!(
                self.before,
                Some(Kind::Punctuator(b':' | b'=' | b'$' | b'@'))
            ),
            Some(Inside::Object | Inside::List | Inside::Selections) => false,
        }
    }

    /// Whether a token begins what a description may stand before.
    fn can_be_described(&self, token: &Token, text: &str) -> bool {
        match (self.inside.last(), token.kind) {
            (None, Kind::Name) => matches!(
                &text[token.range.clone()],
                "query" | "mutation" | "subscription" | "fragment"
            ),
            (Some(Inside::Parentheses), Kind::Punctuator(b'$')) => true,
            _ => false,
        }
    }
}

struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        let bytes = self.text.as_bytes();
        loop {
            let start = self.at;
            let kind = match *bytes.get(start)? {
                b'#' => {
                    self.pass(|byte| !matches!(byte, b'\n' | b'\r'));
                    continue;
                }
                b'"' => {
                    self.string();
                    Kind::String
                }
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                    self.pass(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
                    Kind::Name
                }
                b'-' | b'0'..=b'9' => {
                    let belongs = |byte: u8| matches!(byte, b'+' | b'-' | b'.' | b'_');
                    self.pass(|byte| belongs(byte) || byte.is_ascii_alphanumeric());
                    Kind::Number
                }
                byte if byte.is_ascii_punctuation() && byte != b',' => {
                    self.at += 1;
                    Kind::Punctuator(byte)
                }
                // White space, commas and the byte order mark; of what else this is, the parser tells.
                _ => {
                    self.at += 1;
                    continue;
                }
            };
            let range = start..self.at;
            return Some(Token { kind, range });
        }
    }

    fn pass(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes()[self.at..].iter();
        self.at += rest.take_while(|byte| belongs(**byte)).count();
    }

    /// Passes a string, to the end of the line or of the text if it does not end.
    fn string(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let is_block = rest.starts_with(b"\"\"\"");
        let (mut length, quotes) = if is_block { (3, 3) } else { (1, 1) };
        while length < rest.len() {
            let left = &rest[length..];
            if left.starts_with(&b"\"\"\""[..quotes]) {
                length += quotes;
                break;
            }
            length += match left[0] {
                b'\\' if is_block && left.starts_with(b"\\\"\"\"") => 4,
                b'\\' if !is_block => 2,
                b'\n' | b'\r' if !is_block => break,
                _ => 1,
            };
        }
        // What an escape has taken may be the first byte of several, or the end of the text.
        self.at = (self.at + length).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_colons(text: &str, expected: &[&str]) {
        let names: Vec<&str> = read(text)
            .without_colon
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn names_of_arguments_and_of_fields_of_objects_have_a_colon() {
        check_colons(
            "{ a(b: 1, c: {d: E, f: [G H {i: J}]}) @k(l: $m) { n: o } }",
            &[],
        );
        check_colons("query Q($a: [B!]! = [C], $d: E = F @g(h: I)) { j k }", &[]);
        check_colons(
            "{ a(b: \"(c d)\", # (e f)\n g: \"\"\"(h \\\"\"\" i)\"\"\") }",
            &[],
        );
        check_colons("{ a(b) }", &["b"]);
        check_colons("{ a(b: 1 c d: 1) }", &["c"]);
        check_colons("{ a(b: {c}) }", &["c"]);
        check_colons("{ a(b: {c d: 1}) }", &["c"]);
        check_colons("{ a(b: [{c: 1 d}]) }", &["d"]);
        check_colons("{ a @b(c) }", &["c"]);
        check_colons("query ($a: B = {c}) { d }", &["c"]);
        check_colons("{ a(b", &["b"]);
    }

    #[track_caller]
    fn check_text(text: &str, expected: &str) {
        assert_eq!(read(text).text, expected);
    }

    #[test]
    fn descriptions_of_what_is_executed_become_white_space() {
        check_text("\"é\" query { a }", "    query { a }");
        check_text(
            "{ a } \"\"\"b\nc\"\"\" fragment F on T { d }",
            "{ a }     \n     fragment F on T { d }",
        );
        check_text(
            "query (\"a\" $b: C = \"d\" \"e\" $f: G) { h }",
            "query (    $b: C = \"d\"     $f: G) { h }",
        );
    }

    #[test]
    fn other_strings_stay() {
        for text in [
            "\"a\" { b }",
            "\"a\" \"b\" query { c }",
            "\"a\" scalar B",
            "fragment \"a\" query on T { b }",
            "query \"a\" fragment F on T { b }",
            "{ a(b: \"c\" $d: 1) }",
            "{ a(\"b\" c: 1) }",
            "{ a(b: [\"c\" $d]) }",
            "{ a(b: {\"c\" $d: 1}) }",
            "{ a \"b\" query }",
            "\"\\x\" query { a }",
            "\"\\uD83D\" query { a }",
            "query (\"\"\"a\" $b: C) { d }",
        ] {
            check_text(text, text);
        }
    }

    #[test]
    fn any_text_can_be_read() {
        for text in [
            "\"",
            "\"\\",
            "\"\\é",
            "\"\"\"\\\"",
            "é\"\"\"é",
            "}})(]",
            "#",
            "{ a(b: \"\\",
        ] {
            assert_eq!(read(text).text, text);
        }
    }

    #[test]
    fn locations_count_lines_and_characters() {
        let text = "é a\r\nb\rc\n d";
        let at = |character| {
            let found = location(text, text.find(character).expect("is there"));
            found.map(|it| (it.line, it.column))
        };
        assert_eq!(at('a'), Some((1, 3)));
        assert_eq!(at('b'), Some((2, 1)));
        assert_eq!(at('c'), Some((3, 1)));
        assert_eq!(at('d'), Some((4, 2)));
    }
}
