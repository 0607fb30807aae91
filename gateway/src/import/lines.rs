//! NDJSON: a document a line.
//!
//! Line ends are LF or CRLF, blank lines are skipped, and a byte order mark at the beginning is ignored.
//! Whatever is wrong with a line, the next one begins anew.

use super::record::{RawBatch, Reading, Splitter};

/// Cuts at line ends.
#[derive(Debug)]
pub(super) struct Lines {
    /// The line being read, counted from 1.
    line: u64,
    /// The line was too large and is being skipped.
    skipping: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            line: 1,
            skipping: false,
        }
    }

    fn end_of_line(&mut self, batch: &mut RawBatch) {
        if !std::mem::take(&mut self.skipping) {
            if batch.open().iter().all(u8::is_ascii_whitespace) {
                batch.drop_open();
            } else {
                batch.close(self.line);
            }
        }
        self.line += 1;
    }

    fn take(&mut self, bytes: &[u8], batch: &mut RawBatch) {
        if !self.skipping && !batch.extend(bytes) {
            self.skipping = true;
            batch.fail_too_large(self.line);
        }
    }
}

impl Splitter for Lines {
    fn push(&mut self, input: &[u8], batch: &mut RawBatch) -> usize {
        let mut taken = 0;
        while taken < input.len() && !batch.is_full() {
            let rest = &input[taken..];
            match memchr::memchr(b'\n', rest) {
                Some(end) => {
                    self.take(&rest[..end], batch);
                    self.end_of_line(batch);
                    taken += end + 1;
                }
                None => {
                    self.take(rest, batch);
                    taken = input.len();
                }
            }
        }
        taken
    }

    fn finish(&mut self, batch: &mut RawBatch) {
        self.end_of_line(batch);
    }

    fn has_stopped(&self) -> bool {
        false
    }

    fn reading(&self) -> Reading {
        Reading::Json
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::testing::split;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_numbered_and_blank_ones_skipped() {
        let body = b"{\"a\":1}\r\n\n  \n{\"a\":\n{}";
        let records = split(Lines::new(), body, &[100]);
        let expected: Vec<(u64, Result<String, String>)> = vec![
            (1, Ok("{\"a\":1}\r".into())),
            (4, Ok("{\"a\":".into())),
            (5, Ok("{}".into())),
        ];
        assert_eq!(records, expected);
        assert!(split(Lines::new(), b"", &[1]).is_empty());
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_the_next_read() {
        let body = format!("{}\n{{}}\n", "x".repeat(41));
        let records = split(Lines::new(), body.as_bytes(), &[7]);
        assert!(
            matches!(&records[0], (1, Err(why)) if why.contains("40 bytes")),
            "{records:?}"
        );
        assert_eq!(records[1..], [(2, Ok("{}".into()))]);
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(
            body in "([{}\",:ab \r]|\n){0,200}",
            sizes in proptest::collection::vec(1_usize..20, 1..8),
        ) {
            let whole = split(Lines::new(), body.as_bytes(), &[usize::MAX]);
            prop_assert_eq!(split(Lines::new(), body.as_bytes(), &sizes), whole);
        }
    }
}
