//! Those who read event streams: any number of connections on one thread, which look at nothing but how many frames
//! came.
//!
//! A frame of the measured events holds one `{`, and nothing around it holds another (chunk sizes are hexadecimal), so
//! that counting a byte counts events: a few gigabytes a second. The first listener also reads its frames, and insists
//! that they are numbered without a gap.

use std::cell::{Cell, RefCell};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use super::BenchError;
use super::client::send;

/// Bytes of one read.
const BUFFER: usize = 256 * 1024;

/// The longest that all may take to be where they should be.
const LONGEST: Duration = Duration::from_secs(120);

/// What a reader that never reads lets the kernel hold for it.
const STALLED_BUFFER: u32 = 4_096;

/// Open streams.
pub(super) struct Listeners {
    runtime: Runtime,
    streams: Vec<Listener>,
    buffer: Rc<RefCell<Vec<u8>>>,
}

struct Listener {
    stream: TcpStream,
    /// Frames with data so far.
    frames: Cell<u64>,
    /// Reads the numbers, where it is the one that looks.
    numbers: Option<RefCell<Numbers>>,
}

impl Listeners {
    /// Opens so many streams with this request, and waits until each has had a frame; checks the numbers of one, where
    /// they are `numbered` from 1 on.
    pub(super) fn open(
        address: SocketAddr,
        count: usize,
        request: &[u8],
        numbered: bool,
    ) -> Result<Self, BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut streams = Vec::new();
        // In handfuls: a listen queue is bounded.
        while streams.len() < count {
            let handful = (count - streams.len()).min(64);
            let opened = (0..handful).map(|_| async {
                let stream = TcpStream::connect(address).await?;
                send(&stream, request).await?;
                Ok::<_, BenchError>(stream)
            });
            for stream in runtime.block_on(try_join_all(opened))? {
                let numbers = (numbered && streams.is_empty()).then(RefCell::default);
                streams.push(Listener { stream, frames: Cell::new(0), numbers });
            }
        }
        let listeners = Self { runtime, streams, buffer: Rc::new(RefCell::new(vec![0; BUFFER])) };
        listeners.read_to(1)?;
        Ok(listeners)
    }

    /// Frames that each has had.
    pub(super) fn frames(&self) -> u64 {
        self.streams.iter().map(|listener| listener.frames.get()).min().unwrap_or(0)
    }

    /// Reads until each has had so many frames, from the first on.
    pub(super) fn read_to(&self, frames: u64) -> Result<Duration, BenchError> {
        let began = Instant::now();
        self.runtime.block_on(async {
            let all = self.streams.iter().map(|listener| listener.read_to(frames, &self.buffer));
            let read = tokio::time::timeout(LONGEST, join_all(all)).await;
            let late = || BenchError::Unexpected("events did not come in time".to_owned());
            read.map_err(|_| late())?.into_iter().collect::<Result<(), _>>()
        })?;
        Ok(began.elapsed())
    }

    /// Opens one more stream that nobody reads, until it is dropped.
    pub(super) fn stall(&self, address: SocketAddr, request: &[u8]) -> Result<TcpStream, BenchError> {
        self.runtime.block_on(async {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_recv_buffer_size(STALLED_BUFFER)?;
            let stream = socket.connect(address).await?;
            send(&stream, request).await?;
            Ok(stream)
        })
    }
}

impl Listener {
    async fn read_to(&self, frames: u64, buffer: &RefCell<Vec<u8>>) -> Result<(), BenchError> {
        while self.frames.get() < frames {
            self.stream.readable().await?;
            // Not held over an await: all listeners share it.
            let mut buffer = buffer.borrow_mut();
            let count = match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(BenchError::Unexpected("a stream ended".to_owned())),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            let came = bytes.iter().map(|byte| u64::from(*byte == b'{')).sum::<u64>();
            self.frames.set(self.frames.get() + came);
            if let Some(numbers) = &self.numbers {
                numbers.borrow_mut().take(bytes)?;
            }
        }
        Ok(())
    }
}

/// The numbers of the frames that came: 1, 2, 3 and so on.
#[derive(Debug, Default)]
struct Numbers {
    line: Vec<u8>,
    last: u64,
}

impl Numbers {
    fn take(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            // Where a chunk ends inside of a frame, its line ends are lines of their own and hold no number.
            if let Some(number) = self.line.strip_prefix(b"id: ") {
                let number = std::str::from_utf8(number).ok().and_then(|digits| digits.parse().ok());
                if number != Some(self.last + 1) {
                    let last = self.last;
                    return Err(BenchError::Unexpected(format!("after event {last} came {number:?}")));
                }
                self.last += 1;
            }
            self.line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_numbers_is_found() {
        let mut numbers = Numbers::default();
        for part in ["16\r\nid: 1\nda", "ta: {}\n\nid: 2\n", "data: {}\n\n\r\n", "id: 3\ndata: {}\n\n"] {
            numbers.take(part.as_bytes()).unwrap();
        }
        assert!(numbers.take(b"id: 5\n").unwrap_err().to_string().contains("after event 3"));
    }
}
