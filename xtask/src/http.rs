//! A minimal HTTP/1.1 client for the checks: one connection, one request at a time.
//!
//! Deliberately not the client of the product: a check should not share its mistakes. Understands
//! what our server sends (a length or chunks), keeps the connection open, and gives an error for
//! anything else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, read whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection to one server.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("no {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Connection {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Response> {
        self.request("GET", path, None)
    }

    pub(crate) fn post_json(&mut self, path: &str, body: &str) -> Result<Response> {
        self.request("POST", path, Some(body))
    }

    fn request(&mut self, method: &str, path: &str, body: Option<&str>) -> Result<Response> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(body) = body {
            let length = body.len();
            request.push_str("content-type: application/json\r\naccept: application/json\r\n");
            request.push_str(&format!("content-length: {length}\r\n\r\n{body}"));
        } else {
            request.push_str("\r\n");
        }
        self.stream
            .get_mut()
            .write_all(request.as_bytes())
            .context("cannot send")?;
        read_response(&mut self.stream)
    }
}

fn read_response(reader: &mut impl BufRead) -> Result<Response> {
    let line = read_line(reader)?;
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .with_context(|| format!("not a status line: {line:?}"))?;
    let (mut length, mut in_chunks) = (None, false);
    loop {
        let header = read_line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').context("a header without colon")?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = Some(value.parse().context("a bad length")?),
            ("transfer-encoding", value) => in_chunks = value.eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let body = match (in_chunks, length) {
        (true, _) => read_chunks(reader)?,
        (false, Some(length)) => read_exactly(reader, length)?,
        (false, None) => bail!("an answer with neither length nor chunks"),
    };
    Ok(Response { status, body })
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).with_context(|| format!("{line:?} as size"))?;
        body.extend(read_exactly(reader, size)?);
        let end = read_line(reader)?;
        if !end.is_empty() {
            bail!("a chunk is longer than its size, or there is a trailer");
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    let read = reader.take(length).read_to_end(&mut body)?;
    if read as u64 != length {
        bail!("the connection ended inside a body");
    }
    Ok(body)
}

fn read_line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let line = line
        .strip_suffix(b"\r\n")
        .context("the connection ended inside a line")?;
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests;
