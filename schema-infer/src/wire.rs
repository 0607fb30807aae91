//! The byte format that shapes and name registries are stored in: unsigned LEB128 numbers and
//! length-prefixed UTF-8. Reading never panics and never allocates more than the input justifies.

/// What was wrong with the input, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireError {
    pub(crate) offset: usize,
    pub(crate) reason: &'static str,
}

pub(crate) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }

    pub(crate) fn error(&self, reason: &'static str) -> WireError {
        WireError {
            offset: self.offset,
            reason,
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        let byte = *self
            .bytes
            .get(self.offset)
            .ok_or_else(|| self.error("unexpected end"))?;
        self.offset += 1;
        Ok(byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.error("a number beyond 64 bits"))
    }

    /// The number of elements that follow. Each takes at least one byte, so a count beyond the rest
    /// of the input is refused before anything is allocated for it.
    pub(crate) fn count(&mut self) -> Result<usize, WireError> {
        let count = self.number()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.bytes.len() - self.offset => Ok(count),
            _ => Err(self.error("a count beyond the input")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, WireError> {
        let length = self.count()?;
        let bytes = &self.bytes[self.offset..self.offset + length];
        let text = std::str::from_utf8(bytes).map_err(|_| self.error("text is not UTF-8"))?;
        self.offset += length;
        Ok(text)
    }

    pub(crate) fn finish(&self) -> Result<(), WireError> {
        if self.offset == self.bytes.len() {
            Ok(())
        } else {
            Err(self.error("trailing bytes"))
        }
    }
}
