//! From JSON text to the stored form, in one pass over the bytes.
//!
//! The text is checked as UTF-8 as a whole, then read once by a loop with an explicit stack: there
//! is no recursion, whatever the input. Output is copied in runs: as long as the input is canonical
//! nothing is written, and only white space or an escape that has a shorter form ends a run. So
//! compact input is copied once, whole.
//!
//! Accepted is what RFC 8259 calls a JSON text, less: nesting beyond [`DEPTH_MAX`], numbers that are
//! infinite as doubles or have exponents of more than nine digits, lone surrogates, a byte order
//! mark. Of members with equal names the last one stays.

use std::collections::HashSet;

use bytes::Bytes;

use crate::json::{JsonError, JsonErrorReason, read_escape, special_offset, write_char};
use crate::stored::{ITEM_WORDS, MEMBER_WORDS, assemble};
use crate::value::{Kind, ValueRef};

/// Levels of lists and objects that a value may have.
pub const DEPTH_MAX: usize = 128;

/// The longest text of a value. Keeps every offset in 32 bits: the tables have at most eight bytes
/// for each byte of text.
pub const TEXT_BYTES_MAX: usize = 256 << 20;

/// A number without an exponent and shorter than this is finite as a double.
const FINITE_DIGITS: usize = 300;

/// The stored form of the value that the text denotes.
pub(crate) fn parse(input: &[u8]) -> Result<Bytes, JsonError> {
    if input.len() > TEXT_BYTES_MAX {
        return Err(JsonError {
            offset: TEXT_BYTES_MAX,
            reason: JsonErrorReason::TooLong,
        });
    }
    if let Err(error) = std::str::from_utf8(input) {
        let offset = error.valid_up_to();
        return Err(JsonError {
            offset,
            reason: JsonErrorReason::InvalidUtf8,
        });
    }
    let mut parser = Parser::new(input);
    let root = parser.read()?;
    let stored = assemble(&parser.text, &parser.words, root);
    if !parser.has_duplicates {
        return Ok(stored);
    }
    let mut distinct = Vec::with_capacity(parser.text.len());
    if let Ok(value) = ValueRef::from_stored(&stored) {
        write_distinct(value, &mut distinct);
    }
    parse(&distinct)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    List,
}

/// A list or object that has been entered and not left.
struct Frame {
    container: Container,
    /// Whether a list has items that are lists or objects, and so needs a table.
    is_nested: bool,
    /// Where its entries begin in `Parser::entries`.
    first_entry: usize,
}

struct Parser<'i> {
    input: &'i [u8],
    /// The next byte to read.
    position: usize,
    /// Everything before is in `text`; from here to `position` input and output are the same.
    run_start: usize,
    text: Vec<u8>,
    /// The tables of the containers that have been left.
    words: Vec<u32>,
    /// The table entries of the containers in `frames`, outermost first.
    entries: Vec<u32>,
    frames: Vec<Frame>,
    has_duplicates: bool,
}

impl<'i> Parser<'i> {
    fn new(input: &'i [u8]) -> Parser<'i> {
        Parser {
            input,
            position: 0,
            run_start: 0,
            text: Vec::with_capacity(input.len()),
            words: Vec::new(),
            entries: Vec::new(),
            frames: Vec::new(),
            has_duplicates: false,
        }
    }

    /// Reads the one value and gives its table.
    fn read(&mut self) -> Result<u32, JsonError> {
        self.skip_space();
        let root = loop {
            match self.next()? {
                b'"' => self.read_string()?,
                b'-' | b'0'..=b'9' => self.read_number()?,
                b't' => self.read_literal(b"true")?,
                b'f' => self.read_literal(b"false")?,
                b'n' => self.read_literal(b"null")?,
                b'{' => {
                    if self.enter(Container::Object)? {
                        continue;
                    }
                }
                b'[' => {
                    if self.enter(Container::List)? {
                        continue;
                    }
                }
                _ => return Err(self.error(JsonErrorReason::ExpectedValue)),
            }
            if let Some(root) = self.follow()? {
                break root;
            }
        };
        self.skip_space();
        if self.position < self.input.len() {
            return Err(self.error(JsonErrorReason::TrailingText));
        }
        self.flush();
        Ok(root)
    }

    /// After a scalar or an empty container: goes to the next value, leaving the containers that end
    /// here. Gives the root's table if the root ends here.
    fn follow(&mut self) -> Result<Option<u32>, JsonError> {
        let mut table = 0;
        while let Some(frame) = self.frames.last() {
            let container = frame.container;
            if let (Some(entry_table), true) = (self.entries.last_mut(), table != 0) {
                *entry_table = table;
            }
            self.skip_space();
            match (self.next()?, container) {
                (b',', Container::Object) => {
                    self.position += 1;
                    self.skip_space();
                    return self.read_name().map(|()| None);
                }
                (b',', Container::List) => {
                    self.position += 1;
                    self.skip_space();
                    self.begin_item();
                    return Ok(None);
                }
                (b'}', Container::Object) | (b']', Container::List) => {
                    self.position += 1;
                    table = self.leave();
                }
                (_, Container::Object) => {
                    return Err(self.error(JsonErrorReason::ExpectedCommaOrBrace));
                }
                (_, Container::List) => {
                    return Err(self.error(JsonErrorReason::ExpectedCommaOrBracket));
                }
            }
        }
        Ok(Some(table))
    }

    /// At an opening bracket. True: entered, and at the first value inside. False: it was empty.
    fn enter(&mut self, container: Container) -> Result<bool, JsonError> {
        if self.frames.len() >= DEPTH_MAX {
            return Err(self.error(JsonErrorReason::TooDeep));
        }
        if let Some(parent) = self.frames.last_mut() {
            parent.is_nested = true;
        }
        self.position += 1;
        self.skip_space();
        let end = if container == Container::Object {
            b'}'
        } else {
            b']'
        };
        if self.next()? == end {
            self.position += 1;
            return Ok(false);
        }
        let first_entry = self.entries.len();
        self.frames.push(Frame {
            container,
            is_nested: false,
            first_entry,
        });
        match container {
            Container::Object => self.read_name()?,
            Container::List => self.begin_item(),
        }
        Ok(true)
    }

    /// Behind a closing bracket: makes the container's table, if it needs one.
    fn leave(&mut self) -> u32 {
        let Some(frame) = self.frames.pop() else {
            return 0;
        };
        let end = self.output_offset();
        let entries = &self.entries[frame.first_entry..];
        let (count, needs_table) = match frame.container {
            Container::Object => (entries.len() / MEMBER_WORDS, true),
            Container::List => (entries.len() / ITEM_WORDS, frame.is_nested),
        };
        let mut table = 0;
        if needs_table {
            self.words.push(count as u32);
            table = self.words.len() as u32;
            self.words.extend_from_slice(entries);
            self.words.push(end);
        }
        if frame.container == Container::Object && count > 1 && !self.has_duplicates {
            self.flush();
            let members = &self.entries[frame.first_entry..];
            self.has_duplicates = has_duplicate_names(&self.text, members);
        }
        self.entries.truncate(frame.first_entry);
        table
    }

    /// Reads `"name":` and begins the entry of the member.
    fn read_name(&mut self) -> Result<(), JsonError> {
        let name = self.output_offset();
        if self.next()? != b'"' {
            return Err(self.error(JsonErrorReason::ExpectedName));
        }
        self.read_string()?;
        self.skip_space();
        if self.next()? != b':' {
            return Err(self.error(JsonErrorReason::ExpectedColon));
        }
        self.position += 1;
        self.skip_space();
        let value = self.output_offset();
        self.entries.extend_from_slice(&[name, value, 0]);
        Ok(())
    }

    fn begin_item(&mut self) {
        let item = self.output_offset();
        self.entries.extend_from_slice(&[item, 0]);
    }

    /// At the opening quote; ends behind the closing one.
    fn read_string(&mut self) -> Result<(), JsonError> {
        self.position += 1;
        loop {
            self.position += special_offset(&self.input[self.position..]);
            match self.next()? {
                b'"' => {
                    self.position += 1;
                    return Ok(());
                }
                b'\\' => self.read_string_escape()?,
                _ => return Err(self.error(JsonErrorReason::ControlCharacter)),
            }
        }
    }

    /// At a backslash. The short escapes are canonical and do not end the run, but for `\/`.
    fn read_string_escape(&mut self) -> Result<(), JsonError> {
        let rest = &self.input[self.position..];
        let (character, length) = read_escape(rest).map_err(|reason| self.error(reason))?;
        if length == 2 && character != '/' {
            self.position += length;
            return Ok(());
        }
        self.flush();
        write_char(character, &mut self.text);
        self.position += length;
        self.run_start = self.position;
        Ok(())
    }

    fn read_number(&mut self) -> Result<(), JsonError> {
        let start = self.position;
        if self.input[start] == b'-' {
            self.position += 1;
        }
        if self.input.get(self.position) == Some(&b'0') {
            self.position += 1;
        } else {
            self.read_digits()?;
        }
        if self.input.get(self.position) == Some(&b'.') {
            self.position += 1;
            self.read_digits()?;
        }
        let mut is_long = self.position - start >= FINITE_DIGITS;
        if let Some(b'e' | b'E') = self.input.get(self.position) {
            self.position += 1;
            if let Some(b'+' | b'-') = self.input.get(self.position) {
                self.position += 1;
            }
            let digits = self.position;
            self.read_digits()?;
            let digits = &self.input[digits..self.position];
            let leading_zeros = digits.iter().take_while(|digit| **digit == b'0').count();
            if digits.len() - leading_zeros > 9 {
                self.position = start;
                return Err(self.error(JsonErrorReason::NumberOutOfRange));
            }
            is_long = true;
        }
        if is_long && !is_finite(&self.input[start..self.position]) {
            self.position = start;
            return Err(self.error(JsonErrorReason::NumberOutOfRange));
        }
        Ok(())
    }

    /// One digit or more.
    fn read_digits(&mut self) -> Result<(), JsonError> {
        let rest = &self.input[self.position..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.position += length;
        if length == 0 {
            self.next()?;
            return Err(self.error(JsonErrorReason::InvalidNumber));
        }
        Ok(())
    }

    fn read_literal(&mut self, literal: &[u8]) -> Result<(), JsonError> {
        if !self.input[self.position..].starts_with(literal) {
            return Err(self.error(JsonErrorReason::ExpectedValue));
        }
        self.position += literal.len();
        Ok(())
    }

    #[inline]
    fn next(&self) -> Result<u8, JsonError> {
        let byte = self.input.get(self.position).copied();
        byte.ok_or_else(|| self.error(JsonErrorReason::UnexpectedEnd))
    }

    #[inline]
    fn skip_space(&mut self) {
        let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\n' | b'\r' | b'\t'));
        if is_space(self.input.get(self.position)) {
            self.flush();
            while is_space(self.input.get(self.position)) {
                self.position += 1;
            }
            self.run_start = self.position;
        }
    }

    /// Where the byte at `position` is, or will be, in the output.
    #[inline]
    fn output_offset(&self) -> u32 {
        (self.text.len() + self.position - self.run_start) as u32
    }

    /// Ends the run: all that was read is in `text` now.
    fn flush(&mut self) {
        self.text
            .extend_from_slice(&self.input[self.run_start..self.position]);
        self.run_start = self.position;
    }

    #[cold]
    fn error(&self, reason: JsonErrorReason) -> JsonError {
        JsonError {
            offset: self.position,
            reason,
        }
    }
}

fn is_finite(number: &[u8]) -> bool {
    let number = std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(f64::is_finite)
}

/// Whether two members have one name. Canonical escaping gives equal names equal texts.
fn has_duplicate_names(text: &[u8], members: &[u32]) -> bool {
    let (members, _) = members.as_chunks::<MEMBER_WORDS>();
    let name_of = |member: &[u32; MEMBER_WORDS]| &text[member[0] as usize..member[1] as usize];
    if members.len() > 64 {
        let mut names: Vec<_> = members.iter().map(name_of).collect();
        names.sort_unstable();
        return names.windows(2).any(|pair| pair[0] == pair[1]);
    }
    // Few members: a filter of 128 bits clears most names without comparing them with the others.
    let mut filter = 0_u128;
    for (position, member) in members.iter().enumerate() {
        let name = name_of(member);
        let bit = 1 << name_filter_bit(name);
        if filter & bit != 0
            && members[..position]
                .iter()
                .any(|other| name_of(other) == name)
        {
            return true;
        }
        filter |= bit;
    }
    false
}

/// A number below 128 that depends on the length, the first, the middle and the last character of
/// `"name":`.
fn name_filter_bit(name: &[u8]) -> u32 {
    let at = |index: usize| name.get(index).copied().unwrap_or(0);
    let picked = [
        name.len() as u8,
        at(1),
        at(name.len() / 2),
        at(name.len().saturating_sub(3)),
    ];
    u32::from_le_bytes(picked).wrapping_mul(0x9e37_79b1) >> 25
}

/// Appends the value without the members that a later one of the same name replaces. Recursion ends
/// because the parser has bounded the depth.
fn write_distinct(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Object => {
            let mut seen = HashSet::new();
            let members: Vec<_> = value.raw_members().collect();
            let mut kept: Vec<_> = members
                .into_iter()
                .rev()
                .filter(|(name, _)| seen.insert(*name))
                .collect();
            kept.reverse();
            out.push(b'{');
            for (position, (name, member)) in kept.into_iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                write_distinct(member, out);
            }
            out.push(b'}');
        }
        Kind::List => {
            out.push(b'[');
            for (position, item) in value.items().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                write_distinct(item, out);
            }
            out.push(b']');
        }
        _ => out.extend_from_slice(value.json()),
    }
}

#[cfg(test)]
mod tests;
