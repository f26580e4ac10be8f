//! The least of HTTP/1.1 that a client needs, over one connection that stays open.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failed;

/// Who may do everything here.
pub(crate) const TOKENS: &str = "root=a-token-for-the-hostile-part:view_any_task+cancel_any_task";
const TOKEN: &str = "a-token-for-the-hostile-part";

/// The head of a request, but for its last line end.
pub(crate) fn head(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n{more}")
}

/// A connection that is kept alive.
pub(crate) struct Wire {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, bytes: Vec::new() })
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), Failed> {
        let more = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.stream.write_all(head(method, path, &more).as_bytes()).await?;
        loop {
            if let Some(answer) = self.taken()? {
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.bytes).await? == 0 {
                return Err("the server closed a connection that behaved".into());
            }
        }
    }

    /// The answer, where it is there in whole.
    fn taken(&mut self) -> Result<Option<(u16, String)>, Failed> {
        let text = std::str::from_utf8(&self.bytes)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("an answer without a length")?.trim().parse()?;
        let Some(body) = body.get(..length) else { return Ok(None) };
        let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
        let body = body.to_owned();
        let whole = head.len() + 4 + length;
        self.bytes.drain(..whole);
        Ok(Some((status, body)))
    }

    /// Starts a task of the demo and tells where it is, without what stands before its key.
    pub(crate) async fn start(&mut self, model: &str, input: &Value) -> Result<String, Failed> {
        let body = serde_json::json!({ "input": input }).to_string();
        let (status, told) = self.call("POST", &format!("/tasks/tests/{model}"), &body).await?;
        let told: Value = serde_json::from_str(&told)?;
        match (status, told.get("id").and_then(Value::as_u64)) {
            (202, Some(id)) => Ok(format!("tests/{model}/{id}")),
            _ => Err(format!("a start of {model} was answered with {status}: {told}").into()),
        }
    }
}
