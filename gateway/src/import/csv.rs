//! CSV with a header: RFC 4180, comma-separated.
//!
//! The header's names become the fields of every row's document. Only what is certain becomes a number or
//! boolean; the rest stays the string it is:
//!
//! | cell | value |
//! |---|---|
//! | in quotes | string, also `""` |
//! | empty | `null` |
//! | `true` `false` `TRUE` `FALSE` | boolean |
//! | a JSON integer, at most 2^53 − 1 in size: `0` `-7` `42` | number |
//! | a JSON number with a point, or an exponent with a sign: `1.50` `1e-05` | number, digits as written |
//! | all else: `007` `+1` `.5` `1e5` `1,5` `NaN` ` 7` `2024-01-01`, longer integers | string |
//!
//! Line ends are LF or CRLF; empty lines are skipped. A row with too few or too many cells is refused, and so
//! is one with text beside a quoted cell. This is a tokenizer of its own, because a push parser must say on
//! which line a record begins and that a quote is never closed; the tests hold it against the `csv` crate.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use thalweg_model::{Document, write_json_string};

use super::record::{RawBatch, Reading, Splitter, line_ends};

/// The largest integer that every client's numbers hold exactly.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Columns that a header may have.
const COLUMNS_MAX: usize = 10_000;

/// Cuts at the line ends that are not in quotes.
#[derive(Debug)]
pub(super) struct Csv {
    /// Absent until the first record has been read.
    header: Option<Header>,
    at: At,
    /// The line being read, counted from 1.
    line: u64,
    /// The line on which the record begins.
    record_line: u64,
    /// The record was too large and is being skipped.
    skipping: bool,
    stopped: bool,
}

/// Where in a record the splitter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    CellStart,
    Plain,
    /// In quotes that were opened on this line.
    Quoted(u64),
    /// After a quote in a quoted cell: its end, or the first half of an escaped one.
    Quote(u64),
}

impl Csv {
    pub(super) fn new() -> Self {
        Self {
            header: None,
            at: At::CellStart,
            line: 1,
            record_line: 1,
            skipping: false,
            stopped: false,
        }
    }

    fn keep(&mut self, bytes: &[u8], batch: &mut RawBatch) {
        if self.skipping || batch.extend(bytes) {
            return;
        }
        if let At::Quoted(line) = self.at {
            let record = self.record_line;
            batch.fail_too_large(record);
            self.stop(
                record,
                &format!("the quote opened on line {line} is probably not closed"),
                batch,
            );
        } else if self.header.is_none() {
            // Going on would take the first row for the header.
            batch.fail_too_large(self.record_line);
            self.stop(self.record_line, "the header cannot be used", batch);
        } else {
            self.skipping = true;
            batch.fail_too_large(self.record_line);
        }
    }

    fn stop(&mut self, line: u64, reason: &str, batch: &mut RawBatch) {
        batch.drop_open();
        batch.fail(line, format!("{reason}; reading stopped here"));
        self.stopped = true;
    }

    /// The record is complete; its line end has been counted.
    fn end(&mut self, batch: &mut RawBatch) {
        let line = std::mem::replace(&mut self.record_line, self.line);
        self.at = At::CellStart;
        if std::mem::take(&mut self.skipping) || without_cr(batch.open()).is_empty() {
            batch.drop_open();
        } else if self.header.is_some() {
            batch.close(line);
        } else {
            match Header::read(batch.open()) {
                Ok(header) => {
                    self.header = Some(header);
                    batch.drop_open();
                }
                Err(reason) => {
                    self.stop(line, &format!("the header cannot be used: {reason}"), batch);
                }
            }
        }
    }

    /// How much of the input belongs to the record, as far as this says; true when the record ends there.
    fn scan(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < input.len() {
            match self.at {
                At::Quoted(line) => {
                    let end = memchr::memchr(b'"', &input[at..]);
                    let taken = end.map_or(input.len() - at, |end| end + 1);
                    self.line += line_ends(&input[at..at + taken]);
                    at += taken;
                    if end.is_some() {
                        self.at = At::Quote(line);
                    }
                    continue;
                }
                At::CellStart if input[at] == b'"' => self.at = At::Quoted(self.line),
                At::Quote(line) if input[at] == b'"' => self.at = At::Quoted(line),
                _ => match input[at] {
                    b'\n' => {
                        self.line += 1;
                        return (at, true);
                    }
                    b',' => self.at = At::CellStart,
                    _ => self.at = At::Plain,
                },
            }
            at += 1;
        }
        (at, false)
    }
}

impl Splitter for Csv {
    fn push(&mut self, input: &[u8], batch: &mut RawBatch) -> usize {
        let mut taken = 0;
        while taken < input.len() && !batch.is_full() && !self.stopped {
            let rest = &input[taken..];
            // One byte more than there is room for, so that the limit is met at the same place however the
            // body was cut.
            let window = if self.skipping {
                rest.len()
            } else {
                batch.room().saturating_add(1)
            };
            let (length, ended) = self.scan(&rest[..window.min(rest.len())]);
            self.keep(&rest[..length], batch);
            taken += length;
            if ended && !self.stopped {
                taken += 1;
                self.end(batch);
            }
        }
        taken
    }

    fn finish(&mut self, batch: &mut RawBatch) {
        match self.at {
            At::Quoted(line) => {
                let reason = format!("the quote opened on line {line} is not closed");
                self.stop(self.record_line, &reason, batch);
            }
            _ => self.end(batch),
        }
    }

    fn has_stopped(&self) -> bool {
        self.stopped
    }

    fn reading(&self) -> Reading {
        Reading::Csv(self.header.clone().unwrap_or_default())
    }
}

/// The names of the columns, each as a JSON key with its colon.
#[derive(Clone, Debug, Default)]
pub(super) struct Header(Arc<[Vec<u8>]>);

impl Header {
    fn read(row: &[u8]) -> Result<Self, String> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut names = HashSet::new();
        for cell in Cells::of(row)? {
            let name = cell?.text;
            if keys.len() == COLUMNS_MAX {
                return Err(format!(
                    "it has more than {COLUMNS_MAX} columns, the most that one may have"
                ));
            }
            if name.is_empty() {
                return Err(format!("column {} has no name", keys.len() + 1));
            }
            if names.contains(&name) {
                return Err(format!("two columns are named `{name}`"));
            }
            let mut key = Vec::new();
            write_json_string(&name, &mut key);
            key.push(b':');
            keys.push(key);
            names.insert(name);
        }
        Ok(Self(keys.into()))
    }

    /// The document of a row.
    pub(super) fn document(&self, row: &[u8]) -> Result<Document, String> {
        let mut json = Vec::with_capacity(row.len() * 2 + self.0.len() * 16);
        let mut count = 0;
        for cell in Cells::of(row)? {
            let cell = cell?;
            // Cells that no column takes are counted for the message.
            if let Some(key) = self.0.get(count) {
                json.push(if json.is_empty() { b'{' } else { b',' });
                json.extend_from_slice(key);
                cell.write(&mut json);
            }
            count += 1;
        }
        if count != self.0.len() {
            let columns = self.0.len();
            return Err(format!("the row has {count} cells, the header {columns}"));
        }
        json.push(b'}');
        Document::parse(&json).map_err(|error| error.to_string())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Cell<'a> {
    text: Cow<'a, str>,
    quoted: bool,
}

impl Cell<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self.text.as_ref() {
            text if self.quoted => write_json_string(text, out),
            "" => out.extend_from_slice(b"null"),
            "true" | "TRUE" => out.extend_from_slice(b"true"),
            "false" | "FALSE" => out.extend_from_slice(b"false"),
            text if is_number(text) => out.extend_from_slice(text.as_bytes()),
            text => write_json_string(text, out),
        }
    }
}

/// Whether a cell is certain to be meant as a number; see the module's table.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if !digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return false;
    }
    let exponent_signed = exponent.and_then(|exponent| exponent.strip_prefix(['+', '-']));
    let well_formed = fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent_signed.unwrap_or(exponent)));
    match (fraction, exponent) {
        (None, None) => whole
            .parse::<u64>()
            .is_ok_and(|number| number <= INTEGER_MAX),
        (None, Some(_)) if exponent_signed.is_none() => false,
        _ => well_formed && text.parse::<f64>().is_ok_and(f64::is_finite),
    }
}

fn without_cr(row: &[u8]) -> &[u8] {
    row.strip_suffix(b"\r").unwrap_or(row)
}

/// The cells of a row, read one at a time: a row may have as many as it has bytes.
struct Cells<'a> {
    rest: Option<&'a str>,
    read: usize,
}

impl<'a> Cells<'a> {
    fn of(row: &'a [u8]) -> Result<Self, String> {
        let row = std::str::from_utf8(without_cr(row))
            .map_err(|error| format!("the row is not UTF-8 at byte {}", error.valid_up_to()))?;
        Ok(Self {
            rest: Some(row),
            read: 0,
        })
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Result<Cell<'a>, String>;

    /// After an error there is nothing more to read.
    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest.take()?;
        self.read += 1;
        if let Some(text) = text.strip_prefix('"') {
            return Some(quoted_cell(text, self.read).map(|(cell, after)| {
                self.rest = after;
                cell
            }));
        }
        let plain = match text.split_once(',') {
            Some((plain, after)) => {
                self.rest = Some(after);
                plain
            }
            None => text,
        };
        Some(Ok(Cell {
            text: Cow::Borrowed(plain),
            quoted: false,
        }))
    }
}

/// Reads what follows an opening quote: the cell, and the text after its comma if there is one.
fn quoted_cell(text: &str, number: usize) -> Result<(Cell<'_>, Option<&str>), String> {
    let mut content = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let Some((piece, after)) = rest.split_once('"') else {
            return Err(format!("the quote that opens cell {number} is not closed"));
        };
        content += piece;
        match after.as_bytes().first() {
            Some(b'"') => {
                content += "\"";
                rest = &after[1..];
            }
            None => {
                return Ok((
                    Cell {
                        text: content,
                        quoted: true,
                    },
                    None,
                ));
            }
            Some(b',') => {
                return Ok((
                    Cell {
                        text: content,
                        quoted: true,
                    },
                    Some(&after[1..]),
                ));
            }
            Some(_) => {
                return Err(format!(
                    "expected ',' or the end of the line after the quoted cell {number}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests;
