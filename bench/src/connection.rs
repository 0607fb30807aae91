//! One HTTP/1.1 connection, one request at a time: just what our server sends, with as little of its own time as
//! possible in a measured latency.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An open connection to a server.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("no {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            address: address.to_owned(),
            stream: BufReader::new(stream),
        })
    }

    /// Sends JSON to `/graphql`, and gives the body of the answer.
    pub(crate) async fn graphql(&mut self, body: &str) -> Result<Vec<u8>> {
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        self.answer().await
    }

    /// Runs an operation, and gives its data; errors are errors.
    pub(crate) async fn data(&mut self, query: &str, variables: &Value) -> Result<Value> {
        let body = self.graphql(&request(query, variables)).await?;
        let mut answer: Value = serde_json::from_slice(&body)?;
        ensure!(
            answer["errors"].is_null(),
            "{query} was answered with {}",
            answer["errors"]
        );
        Ok(answer["data"].take())
    }

    async fn answer(&mut self) -> Result<Vec<u8>> {
        let status = self.line().await?;
        let mut length = None;
        loop {
            let header = self.line().await?;
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut body = vec![0; length.context("an answer without a length")?];
        self.stream.read_exact(&mut body).await?;
        if !status.starts_with("HTTP/1.1 200 ") {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let end = line
            .strip_suffix("\r\n")
            .context("the connection ended inside a line")?
            .len();
        line.truncate(end);
        Ok(line)
    }
}

/// A GraphQL request as JSON.
pub(crate) fn request(query: &str, variables: &Value) -> String {
    json!({ "query": query, "variables": variables }).to_string()
}
