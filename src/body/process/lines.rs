//! What a child prints, line by line, each of a bounded length.

use super::pipe::Outlet;

const CHUNK: usize = 16 * 1024;

/// A line that was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Its text, without its end; what was no UTF-8 is replaced.
    pub(crate) text: String,
    /// Whether it was longer than kept.
    pub(crate) is_cut: bool,
    /// Whether all of it was UTF-8.
    pub(crate) is_utf8: bool,
}

/// Reads lines.
pub(crate) struct Lines {
    pipe: Outlet,
    splitter: Splitter,
    chunk: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// Of at most that many bytes each; the rest of a longer one is passed over.
    pub(crate) fn new(pipe: Outlet, max: usize) -> Self {
        Self { pipe, splitter: Splitter::new(max), chunk: vec![0; CHUNK], is_over: false }
    }

    /// The next line; none at the end. A last line without an end is a line too.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.splitter.next() {
                return Some(line);
            }
            if self.is_over {
                return self.splitter.last();
            }
            match self.pipe.read(&mut self.chunk).await {
                0 => self.is_over = true,
                count => self.splitter.push(self.chunk.get(..count).unwrap_or_default()),
            }
        }
    }
}

/// Cuts bytes into lines.
struct Splitter {
    max: usize,
    /// What was read and not looked at.
    unread: Vec<u8>,
    line: Vec<u8>,
    is_cut: bool,
}

impl Splitter {
    fn new(max: usize) -> Self {
        Self { max, unread: Vec::new(), line: Vec::new(), is_cut: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Line> {
        let end = self.unread.iter().position(|byte| *byte == b'\n');
        let part: Vec<u8> = self.unread.drain(..end.map_or(self.unread.len(), |end| end + 1)).collect();
        let text = part.strip_suffix(b"\n").unwrap_or(&part);
        let room = self.max.saturating_sub(self.line.len());
        self.is_cut |= text.len() > room;
        self.line.extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
        end.map(|_| self.take())
    }

    fn last(&mut self) -> Option<Line> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        let mut bytes = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_cut);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        match String::from_utf8(bytes) {
            Ok(text) => Line { text, is_cut, is_utf8: true },
            Err(error) => {
                // A character that the cut went through is no fault of whoever printed it.
                let is_cut_through = is_cut && error.utf8_error().error_len().is_none();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let text = if is_cut_through { text.trim_end_matches('\u{fffd}').to_owned() } else { text };
                Line { text, is_cut, is_utf8: is_cut_through }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(max: usize, chunks: &[&[u8]]) -> Vec<Line> {
        let mut splitter = Splitter::new(max);
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk);
            lines.extend(std::iter::from_fn(|| splitter.next()));
        }
        lines.extend(splitter.last());
        lines
    }

    fn whole(text: &str) -> Line {
        Line { text: text.to_owned(), is_cut: false, is_utf8: true }
    }

    #[test]
    fn lines_end_where_they_end_however_they_come() {
        let expected = [whole("one"), whole(""), whole("two"), whole("three")];
        assert_eq!(lines(100, &[b"one\n\ntwo\r\nthree"]), expected);
        assert_eq!(lines(100, &[b"o", b"ne", b"\n", b"\nt", b"wo\r", b"\nthree\n"]), expected);
        assert!(lines(100, &[b""]).is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so() {
        let cut = Line { is_cut: true, ..whole("abcd") };
        assert_eq!(lines(4, &[b"abcdef", b"ghi\nxy\n"]), [cut, whole("xy")]);
        // Through a character of two bytes: what is left is text.
        assert_eq!(lines(4, &["abcéf\n".as_bytes()]), [Line { is_cut: true, ..whole("abc") }]);
    }

    #[test]
    fn what_is_no_utf_8_is_marked() {
        let marked = Line { is_utf8: false, ..whole("a\u{fffd}b") };
        assert_eq!(lines(100, &[b"a\xffb\nok"]), [marked, whole("ok")]);
    }
}
