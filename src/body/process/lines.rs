//! What a child prints, line by line, each of a bounded length.
//!
//! A line ends with LF, with CR LF, or with a CR alone: programs that show their progress write one line over another.

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
    /// What was read; up to `seen` it was looked at.
    bytes: Vec<u8>,
    seen: usize,
    line: Vec<u8>,
    is_cut: bool,
    /// The last line ended with CR: a LF that follows belongs to it.
    is_after_return: bool,
}

impl Splitter {
    fn new(max: usize) -> Self {
        Self { max, bytes: Vec::new(), seen: 0, line: Vec::new(), is_cut: false, is_after_return: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.seen));
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Line> {
        loop {
            let unseen = self.bytes.get(self.seen..).unwrap_or_default();
            let end = unseen.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let text = unseen.get(..end.unwrap_or(unseen.len())).unwrap_or_default();
            let ending = end.and_then(|end| unseen.get(end).copied());
            self.seen += text.len() + usize::from(ending.is_some());
            let room = self.max.saturating_sub(self.line.len());
            self.is_cut |= text.len() > room;
            self.line.extend_from_slice(text.get(..room.min(text.len())).unwrap_or_default());
            let is_empty = self.line.is_empty() && !self.is_cut;
            match ending {
                None => {
                    self.is_after_return &= is_empty;
                    return None;
                }
                // The second half of an end, or one that ends nothing.
                Some(b'\n') if is_empty && self.is_after_return => self.is_after_return = false,
                Some(b'\r') if is_empty => {}
                Some(ending) => {
                    self.is_after_return = ending == b'\r';
                    return Some(self.take());
                }
            }
        }
    }

    fn last(&mut self) -> Option<Line> {
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_cut);
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
    fn a_line_that_is_written_over_is_a_line_too() {
        let expected = [whole("10%"), whole("100%"), whole(""), whole("done")];
        assert_eq!(lines(100, &[b"\r10%\r100%\r\n\ndone\n"]), expected);
        assert_eq!(lines(100, &[b"\r", b"10%\r", b"\r100%", b"\r", b"\n", b"\r\ndone\r"]), expected);
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
