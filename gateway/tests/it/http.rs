//! A minimal HTTP/1.1 client that shows exactly what came over the wire.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::double::within;

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Whether the body ended as its framing says it should.
    pub(crate) whole: bool,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }

    pub(crate) fn message(&self) -> String {
        self.json()["errors"][0]["message"]
            .as_str()
            .unwrap_or("none")
            .to_owned()
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    host: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server listens");
        Self {
            stream,
            buffer: Vec::new(),
            host: address.to_string(),
        }
    }

    /// Sends a request; `headers` are lines without their ends. A Host header is added unless one is given.
    pub(crate) async fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !headers
            .iter()
            .any(|header| header.to_lowercase().starts_with("host:"))
        {
            head += &format!("host: {}\r\n", self.host);
        }
        for header in headers {
            head += header;
            head += "\r\n";
        }
        if !body.is_empty() || method == "POST" {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        self.write(head.as_bytes()).await;
        self.write(body).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream
            .write_all(bytes)
            .await
            .expect("the server reads");
    }

    async fn fill(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&piece[..length]);
                true
            }
        }
    }

    /// Reads up to and including a mark; `None` when the connection ends before it.
    pub(crate) async fn read_until(&mut self, mark: &str) -> Option<String> {
        within(async {
            loop {
                let found = self
                    .buffer
                    .windows(mark.len())
                    .position(|window| window == mark.as_bytes());
                if let Some(at) = found {
                    let rest = self.buffer.split_off(at + mark.len());
                    let read = std::mem::replace(&mut self.buffer, rest);
                    return Some(String::from_utf8(read).expect("UTF-8"));
                }
                if !self.fill().await {
                    return None;
                }
            }
        })
        .await
    }

    async fn read_exactly(&mut self, length: usize) -> Option<String> {
        within(async {
            while self.buffer.len() < length {
                if !self.fill().await {
                    return None;
                }
            }
            let rest = self.buffer.split_off(length);
            let read = std::mem::replace(&mut self.buffer, rest);
            Some(String::from_utf8_lossy(&read).into_owned())
        })
        .await
    }

    /// Reads the head of a response.
    pub(crate) async fn head(&mut self) -> Response {
        let head = self.read_until("\r\n\r\n").await.expect("a response");
        let mut lines = head.lines();
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .expect("a status line");
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let status = status.parse().expect("a number");
        Response {
            status,
            headers,
            body: String::new(),
            whole: true,
        }
    }

    /// One chunk of a chunked body; `None` after the last, or when the body breaks off.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.read_until("\r\n").await?;
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        let chunk = self.read_exactly(size + 2).await?;
        (size > 0).then(|| chunk[..size].to_owned())
    }

    /// Reads a whole response.
    pub(crate) async fn receive(&mut self) -> Response {
        let mut response = self.head().await;
        if let Some(length) = response.header("content-length") {
            let length = length.parse().expect("a number");
            let body = self.read_exactly(length).await;
            response.whole = body.is_some();
            response.body = body.unwrap_or_default();
        } else if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let Some(size) = self.read_until("\r\n").await else {
                    response.whole = false;
                    break;
                };
                let size = usize::from_str_radix(size.trim(), 16).expect("a size");
                let chunk = self.read_exactly(size + 2).await.unwrap_or_default();
                if size == 0 {
                    break;
                }
                response.body += &chunk[..size];
            }
        }
        response
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        target: &str,
        headers: &[&str],
        body: &str,
    ) -> Response {
        self.send(method, target, headers, body.as_bytes()).await;
        self.receive().await
    }
}

/// One request on a connection of its own.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[&str],
    body: &str,
) -> Response {
    Connection::open(address)
        .await
        .ask(method, target, headers, body)
        .await
}

pub(crate) async fn get(address: SocketAddr, target: &str) -> Response {
    ask(address, "GET", target, &[], "").await
}
