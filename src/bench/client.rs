//! The smallest client that can be: HTTP/1.1 over a kept connection, requests that were written before the clock
//! starts, answers of which only the status and the length are read.
//!
//! It is our own because it shares the machine with the server it measures: what it takes of the processor, the
//! server lacks. [`cpu`] tells how much that was.
//!
//! It knows no more of HTTP than what our servers answer: a `Content-Length`, no chunks (streams have a reader of
//! their own in `listeners.rs`).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::io::Interest;

use super::BenchError;

/// The longest that an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// Room for an answer and what comes behind it.
const BUFFER: usize = 16 * 1024;

/// The token of all requests: a server of ours is started with it.
pub(super) const TOKEN: &str = "bench-token-of-16-or-more";

/// A request as bytes.
pub(super) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// An answer, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Bytes of the head, with the empty line.
    pub(super) head: usize,
    /// Bytes of the body.
    pub(super) body: usize,
}

impl Answer {
    /// Reads the answer that stands first in what was received; none where it is not complete.
    pub(super) fn read(received: &[u8]) -> Result<Option<Self>, BenchError> {
        let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
            return Ok(None);
        };
        let text = received.get(..head).and_then(|head| std::str::from_utf8(head).ok()).unwrap_or_default();
        let status = text.get(9..12).and_then(|digits| digits.parse().ok());
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let (Some(status), Some(body)) = (status, length) else {
            return Err(BenchError::Unexpected(format!("an answer that is none: {text:?}")));
        };
        Ok((received.len() >= head + body).then_some(Self { status, head, body }))
    }

    fn check(&self, expected: u16, received: &[u8]) -> Result<usize, BenchError> {
        if self.status == expected {
            return Ok(self.head + self.body);
        }
        let body = received.get(self.head..self.head + self.body).unwrap_or_default();
        let (status, body) = (self.status, String::from_utf8_lossy(body));
        Err(BenchError::Unexpected(format!("the server answered {status} instead of {expected}: {body}")))
    }
}

/// One connection, one request at a time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWERED_WITHIN))?;
        Ok(Self { stream, buffer: vec![0; BUFFER] })
    }

    /// Sends a request and reads its answer, which must have this status; gives its body.
    pub(super) fn ask(&mut self, request: &[u8], expected: u16) -> Result<&[u8], BenchError> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let room = self.buffer.get_mut(filled..).unwrap_or_default();
            let count = self.stream.read(room)?;
            if count == 0 {
                return Err(BenchError::Unexpected(
                    "the server closed, or its answer is too long".to_owned(),
                ));
            }
            filled += count;
            let received = self.buffer.get(..filled).unwrap_or_default();
            if let Some(answer) = Answer::read(received)? {
                answer.check(expected, received)?;
                return Ok(self.buffer.get(answer.head..answer.head + answer.body).unwrap_or_default());
            }
        }
    }
}

/// What many connections got done together.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) took: Duration,
    /// The bodies of all answers, in no order; empty where they were not to be kept.
    pub(super) bodies: Vec<String>,
}

/// Sends requests over so many connections, each of which has one under way at a time, and reads all answers.
///
/// One thread: tokio tells which connection has something, and everything else is a write and a read.
pub(super) fn load(
    address: SocketAddr,
    connections: usize,
    requests: &[Vec<u8>],
    expected: u16,
    keep: bool,
) -> Result<Load, BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let streams = (0..connections).map(|_| tokio::net::TcpStream::connect(address));
        let streams = try_join_all(streams).await?;
        let work = Rc::new(Work { next: 0.into(), bodies: Vec::new().into() });
        let began = Instant::now();
        let mut clients: Vec<_> = Vec::new();
        for stream in streams {
            stream.set_nodelay(true)?;
            clients.push(client(stream, requests, expected, keep, Rc::clone(&work)));
        }
        // Each is polled only when its own connection has something.
        try_join_all(clients).await?;
        Ok(Load { took: began.elapsed(), bodies: work.bodies.take() })
    })
}

struct Work {
    next: std::cell::Cell<usize>,
    bodies: std::cell::RefCell<Vec<String>>,
}

async fn client(
    stream: tokio::net::TcpStream,
    requests: &[Vec<u8>],
    expected: u16,
    keep: bool,
    work: Rc<Work>,
) -> Result<(), BenchError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let at = work.next.get();
        let Some(request) = requests.get(at) else { return Ok(()) };
        work.next.set(at + 1);
        send(&stream, request).await?;
        let mut filled = 0;
        let answer = loop {
            stream.readable().await?;
            let room = buffer.get_mut(filled..).unwrap_or_default();
            match stream.try_read(room) {
                Ok(0) => return Err(BenchError::Unexpected("the server closed a connection".to_owned())),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = Answer::read(buffer.get(..filled).unwrap_or_default())? {
                break answer;
            }
        };
        answer.check(expected, &buffer)?;
        if keep {
            let body = buffer.get(answer.head..answer.head + answer.body).unwrap_or_default();
            work.bodies.borrow_mut().push(String::from_utf8_lossy(body).into_owned());
        }
    }
}

/// A request fits into a socket that has none: one write, in practice.
pub(super) async fn send(stream: &tokio::net::TcpStream, mut request: &[u8]) -> Result<(), BenchError> {
    while !request.is_empty() {
        match stream.try_write(request) {
            Ok(count) => request = request.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                stream.ready(Interest::WRITABLE).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_when_it_is_complete() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\n{}";
        for part in 0..whole.len() {
            assert_eq!(Answer::read(&whole[..part]).unwrap(), None, "{part}");
        }
        let answer = Answer::read(whole).unwrap().unwrap();
        assert_eq!((answer.status, answer.head, answer.body), (200, whole.len() - 2, 2));
        assert!(answer.check(200, whole).is_ok());
        assert!(answer.check(202, whole).unwrap_err().to_string().contains("200"));
        assert!(Answer::read(b"nonsense\r\n\r\n").is_err());
    }
}
