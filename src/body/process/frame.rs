//! Messages over a pipe: a length, a letter for what it is, and the rest.
//!
//! Four bytes of length (little-endian, of letter and rest), one letter, the rest. A length past the limit is
//! refused before anything of that size is kept, so a child that writes garbage costs one buffer.

use std::io::{self, Read};

use super::pipe::Outlet;

/// The most bytes that a message from a child may have: a result of 1 MiB, and its wrapping.
const MAX_FROM_CHILD: usize = 1024 * 1024 + 1024;

/// The most bytes that a message to a child may have.
const MAX_TO_CHILD: usize = 64 * 1024 * 1024;

const CHUNK: usize = 16 * 1024;

/// A pipe carries what is no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The length is none.
    #[error("a message of {0} bytes was announced, where 1 to {MAX_FROM_CHILD} are allowed")]
    Length(u32),
    /// The pipe ended inside a message.
    #[error("the pipe ended inside a message, after {0} bytes of it")]
    Half(usize),
}

/// A message as it goes over the pipe.
///
/// # Errors
/// Where it is longer than any message may be.
pub(crate) fn encode(letter: u8, rest: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(rest.len() + 1)
        .ok()
        .filter(|length| usize::try_from(*length).is_ok_and(|length| length <= MAX_TO_CHILD))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    let mut bytes = Vec::with_capacity(rest.len() + 5);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.push(letter);
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

/// Reads one message in the child, whose thread waits for it; none at the end of the pipe.
pub(crate) fn read_blocking(pipe: &mut impl Read) -> io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 4];
    if let Err(error) = pipe.read_exact(&mut head) {
        return if error.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(error) };
    }
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_TO_CHILD {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut bytes = vec![0; length];
    pipe.read_exact(&mut bytes)?;
    let rest = bytes.split_off(1);
    Ok(bytes.first().map(|letter| (*letter, rest)))
}

/// Reads the messages of a child.
pub(crate) struct Frames {
    pipe: Outlet,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
}

impl Frames {
    pub(crate) fn new(pipe: Outlet) -> Self {
        Self { pipe, buffer: Vec::new(), chunk: vec![0; CHUNK] }
    }

    /// The next message; none at the end of the pipe.
    ///
    /// # Errors
    /// [`Malformed`]; nothing after it means anything.
    ///
    /// # Cancel safety
    /// Cancel safe: what was read is kept for the next call.
    pub(crate) async fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, Malformed> {
        loop {
            if let Some(message) = cut(&mut self.buffer)? {
                return Ok(Some(message));
            }
            let count = self.pipe.read(&mut self.chunk).await;
            if count == 0 {
                return match self.buffer.len() {
                    0 => Ok(None),
                    bytes => Err(Malformed::Half(bytes)),
                };
            }
            self.buffer.extend_from_slice(self.chunk.get(..count).unwrap_or_default());
        }
    }
}

/// Cuts the first message off, if it is whole.
fn cut(buffer: &mut Vec<u8>) -> Result<Option<(u8, Vec<u8>)>, Malformed> {
    let Some((head, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let announced = u32::from_le_bytes(*head);
    let length = usize::try_from(announced).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_FROM_CHILD {
        return Err(Malformed::Length(announced));
    }
    let Some(whole) = rest.get(..length) else { return Ok(None) };
    let message = whole.split_first().map(|(letter, rest)| (*letter, rest.to_vec()));
    buffer.drain(..length + 4);
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_where_they_end() {
        let mut buffer = encode(b'a', b"one").unwrap();
        buffer.extend(encode(b'b', b"").unwrap());
        let half = encode(b'c', b"three").unwrap();
        buffer.extend(&half[..6]);
        assert_eq!(cut(&mut buffer), Ok(Some((b'a', b"one".to_vec()))));
        assert_eq!(cut(&mut buffer), Ok(Some((b'b', Vec::new()))));
        assert_eq!(cut(&mut buffer), Ok(None));
        buffer.extend(&half[6..]);
        assert_eq!(cut(&mut buffer), Ok(Some((b'c', b"three".to_vec()))));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_length_that_no_message_has_is_refused_before_anything_is_kept() {
        assert_eq!(cut(&mut b"\0\0\0\0".to_vec()), Err(Malformed::Length(0)));
        let text = *b"text, which";
        let announced = u32::from_le_bytes(*b"text");
        assert_eq!(cut(&mut text.to_vec()), Err(Malformed::Length(announced)));
        let last = u32::try_from(MAX_FROM_CHILD).unwrap();
        assert_eq!(cut(&mut last.to_le_bytes().to_vec()), Ok(None));
        assert_eq!(cut(&mut (last + 1).to_le_bytes().to_vec()), Err(Malformed::Length(last + 1)));
    }

    #[test]
    fn the_child_reads_what_the_parent_wrote() {
        let mut bytes = encode(b's', b"{}").unwrap();
        bytes.extend(encode(b'x', b"yes").unwrap());
        let mut pipe = bytes.as_slice();
        assert_eq!(read_blocking(&mut pipe).unwrap(), Some((b's', b"{}".to_vec())));
        assert_eq!(read_blocking(&mut pipe).unwrap(), Some((b'x', b"yes".to_vec())));
        assert_eq!(read_blocking(&mut pipe).unwrap(), None);
        assert!(read_blocking(&mut &b"\x05\0\0\0a"[..]).is_err());
    }
}
