//! JSON: an array of documents, or documents one after the other.
//!
//! The scanner follows brackets and strings only. An element whose brackets match is cut out whole, whatever
//! else is wrong with it, so what follows it is certain to begin where it seems to. Where brackets or quotes
//! do not match, that certainty is gone, with one exception: if every element so far stood on a line of its
//! own, the damaged line is given up and the next line that begins like a document is read. Otherwise the
//! scanner stops and says so.

use super::record::{RawBatch, Reading, Splitter};

/// Brackets nested deeper than this are not followed. Documents may nest far less deeply.
const NESTING_MAX: usize = 1_000;

/// Cuts out the elements of an array, or top-level values.
#[derive(Debug)]
pub(super) struct Json {
    state: State,
    /// The line being read, counted from 1.
    line: u64,
    /// Nothing but white space and commas has been seen on this line.
    at_line_head: bool,
    /// There is no array around the documents.
    bare: bool,
    /// How many elements have been read to their end.
    elements: u64,
    /// Every one of them stood on a line of its own.
    line_shaped: bool,
    element: Element,
}

/// Where the scanner is. `Start` → `Before` → `Inside` → `After` → `Before` … → `End`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has been seen.
    Start,
    /// An element may begin.
    Before { comma: bool },
    /// In an object, a list or a string.
    Inside,
    /// In a number, a word, or what should not be there at all.
    Word,
    /// An element has ended.
    After,
    /// A damaged line is being skipped, or (`true`) a line after one has just begun.
    Skipping { line_begun: bool },
    /// The array has been closed.
    End,
    /// Nothing of what follows can be made sense of.
    Stopped,
}

/// The element being read.
#[derive(Debug, Default)]
struct Element {
    line: u64,
    at_line_head: bool,
    /// The brackets that will close what is open.
    closers: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// It is not kept, because it is too large; that has been reported.
    too_large: bool,
    /// It is not kept, for this reason.
    spoiled: Option<&'static str>,
}

/// What a byte means for the element that it is in.
enum Step {
    Goes,
    Ends,
    Breaks(&'static str),
}

impl Json {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            line: 1,
            at_line_head: true,
            bare: false,
            elements: 0,
            line_shaped: true,
            element: Element::default(),
        }
    }

    fn begin(&mut self, byte: u8) {
        let spoiled = self.element.spoiled.take();
        self.element = Element {
            line: self.line,
            at_line_head: self.at_line_head,
            spoiled,
            ..Element::default()
        };
        self.at_line_head = false;
        self.state = match byte {
            b'{' | b'[' => {
                self.element.closers.push(closer(byte));
                State::Inside
            }
            b'"' => {
                self.element.in_string = true;
                State::Inside
            }
            _ => State::Word,
        };
    }

    fn keep(&mut self, bytes: &[u8], batch: &mut RawBatch) {
        if !self.element.too_large && !batch.extend(bytes) {
            self.element.too_large = true;
            batch.fail_too_large(self.element.line);
        }
    }

    fn end(&mut self, batch: &mut RawBatch) {
        let element = std::mem::take(&mut self.element);
        match element.spoiled {
            _ if element.too_large => batch.drop_open(),
            Some(reason) => {
                batch.drop_open();
                batch.fail(element.line, reason);
            }
            None => batch.close(element.line),
        }
        self.elements += 1;
        self.line_shaped &= element.at_line_head && element.line == self.line;
        self.state = State::After;
    }

    /// The element's brackets or quotes do not match.
    fn break_off(&mut self, reason: &str, batch: &mut RawBatch) {
        let alone_on_line = self.element.at_line_head && self.element.line == self.line;
        batch.drop_open();
        if alone_on_line && self.line_shaped && self.elements > 0 {
            if !self.element.too_large {
                batch.fail(self.line, reason);
            }
            self.state = State::Skipping { line_begun: false };
        } else {
            batch.fail(
                self.line,
                format!("{reason}; where the next document begins is not certain, so reading stopped here"),
            );
            self.state = State::Stopped;
        }
        self.element = Element::default();
    }

    fn line_end(&mut self) {
        self.line += 1;
        self.at_line_head = true;
    }

    /// Looks at the byte of an element that is at `at`; returns the position after it.
    fn step(&mut self, input: &[u8], at: usize) -> (usize, Step) {
        let element = &mut self.element;
        if element.in_string {
            if std::mem::take(&mut element.escaped) && input[at] != b'\n' {
                return (at + 1, Step::Goes);
            }
            let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', &input[at..]) else {
                return (input.len(), Step::Goes);
            };
            let at = at + found;
            let step = match input[at] {
                b'\\' => {
                    element.escaped = true;
                    Step::Goes
                }
                b'"' => {
                    element.in_string = false;
                    if element.closers.is_empty() {
                        Step::Ends
                    } else {
                        Step::Goes
                    }
                }
                _ => {
                    return (
                        at,
                        Step::Breaks("a string is not closed before the line ends"),
                    );
                }
            };
            return (at + 1, step);
        }
        let step = match input[at] {
            b'"' => {
                element.in_string = true;
                Step::Goes
            }
            byte @ (b'{' | b'[') => {
                if element.closers.len() == NESTING_MAX {
                    return (at, Step::Breaks("objects and lists are nested too deeply"));
                }
                element.closers.push(closer(byte));
                Step::Goes
            }
            byte @ (b'}' | b']') => match element.closers.pop() {
                Some(expected) if expected == byte => {
                    if element.closers.is_empty() {
                        Step::Ends
                    } else {
                        Step::Goes
                    }
                }
                Some(b'}') => return (at, Step::Breaks("expected '}', found ']'")),
                _ => return (at, Step::Breaks("expected ']', found '}'")),
            },
            b'\n' => {
                self.line_end();
                Step::Goes
            }
            _ => Step::Goes,
        };
        (at + 1, step)
    }

    /// Reads on in an object, list or string; returns the position after what was read.
    fn inside(&mut self, input: &[u8], from: usize, batch: &mut RawBatch) -> usize {
        let mut at = from;
        while at < input.len() {
            let (next, step) = self.step(input, at);
            match step {
                Step::Goes => at = next,
                Step::Ends => {
                    self.keep(&input[from..next], batch);
                    self.end(batch);
                    return next;
                }
                Step::Breaks(reason) => {
                    // Whether it is too large as well must not depend on how the body was cut.
                    self.keep(&input[from..next], batch);
                    self.break_off(reason, batch);
                    return next;
                }
            }
        }
        self.keep(&input[from..], batch);
        input.len()
    }

    /// Reads on in a number or word. It ends before whatever cannot belong to one.
    fn word(&mut self, input: &[u8], from: usize, batch: &mut RawBatch) -> usize {
        let ends = |byte: &u8| {
            matches!(byte, b',' | b']' | b'[' | b'{' | b'"') || byte.is_ascii_whitespace()
        };
        match input[from..].iter().position(ends) {
            Some(length) => {
                self.keep(&input[from..from + length], batch);
                self.end(batch);
                from + length
            }
            None => {
                self.keep(&input[from..], batch);
                input.len()
            }
        }
    }

    /// Looks at a byte between elements. False when it is the first of an element, and still to be read.
    fn between(&mut self, byte: u8, batch: &mut RawBatch) -> bool {
        if byte.is_ascii_whitespace() {
            if byte == b'\n' {
                self.line_end();
            }
            return true;
        }
        match (self.state, byte) {
            (State::Start, b'[') => {
                self.at_line_head = false;
                self.state = State::Before { comma: false };
            }
            (State::Start, _) => {
                self.bare = true;
                return false;
            }
            (State::Before { .. }, b',') => {
                batch.fail(self.line, "expected a document, found ','");
            }
            (State::Before { comma }, b']') if !self.bare => {
                if comma {
                    batch.fail(self.line, "expected a document after ',', found ']'");
                }
                self.state = State::End;
            }
            (State::After, b',') => self.state = State::Before { comma: true },
            (State::After, b']') if !self.bare => self.state = State::End,
            (State::After, _) if !self.bare => {
                self.element.spoiled = Some("expected ',' or ']' before this document");
                return false;
            }
            (State::End, _) => {
                batch.fail(
                    self.line,
                    "expected the end of the body after the array's ']'",
                );
                self.state = State::Stopped;
            }
            _ => return false,
        }
        true
    }

    /// Skips a damaged line; returns the position after what was skipped.
    fn skip(&mut self, input: &[u8], from: usize, line_begun: bool) -> usize {
        if !line_begun {
            let Some(end) = memchr::memchr(b'\n', &input[from..]) else {
                return input.len();
            };
            self.line_end();
            self.state = State::Skipping { line_begun: true };
            return from + end + 1;
        }
        match input[from] {
            b'\n' => self.line_end(),
            byte if byte == b',' || byte.is_ascii_whitespace() => {}
            // Read again, as what follows an element.
            b'{' => {
                self.state = State::Before { comma: true };
                return from;
            }
            b']' => {
                self.state = State::After;
                return from;
            }
            _ => self.state = State::Skipping { line_begun: false },
        }
        from + 1
    }
}

fn closer(opener: u8) -> u8 {
    if opener == b'{' { b'}' } else { b']' }
}

impl Splitter for Json {
    fn push(&mut self, input: &[u8], batch: &mut RawBatch) -> usize {
        let mut at = 0;
        while at < input.len() && !batch.is_full() {
            at = match self.state {
                State::Stopped => input.len(),
                State::Inside => self.inside(input, at, batch),
                State::Word => self.word(input, at, batch),
                State::Skipping { line_begun } => self.skip(input, at, line_begun),
                State::Start | State::Before { .. } | State::After | State::End => {
                    if self.between(input[at], batch) {
                        at + 1
                    } else {
                        self.begin(input[at]);
                        // The first byte has been looked at; a word's first byte belongs to it whatever it is.
                        self.keep(&input[at..=at], batch);
                        at + 1
                    }
                }
            };
        }
        at
    }

    fn finish(&mut self, batch: &mut RawBatch) {
        if self.state == State::Word {
            self.end(batch);
        }
        match self.state {
            State::Inside => {
                batch.drop_open();
                batch.fail(
                    self.element.line,
                    "the document that begins here is not closed",
                );
                self.state = State::Stopped;
            }
            State::Before { .. } | State::After | State::Skipping { .. } if !self.bare => {
                batch.fail(
                    self.line,
                    "the body ends before the ']' that closes the array",
                );
                self.state = State::Stopped;
            }
            _ => {}
        }
    }

    fn has_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    fn reading(&self) -> Reading {
        Reading::Json
    }
}

#[cfg(test)]
mod tests;
