//! An event stream as a browser reads it, written from the text of the HTML standard (9.2.5 "Parsing an event stream",
//! 9.2.6 "Interpreting an event stream") and with no line of the encoder.
//!
//! For tests only: it takes bytes as they come, in chunks of any size.

/// What a script gets: a `MessageEvent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: String,
    pub(super) data: String,
    pub(super) last_event_id: String,
}

/// The state of an `EventSource`.
#[derive(Debug, Default)]
pub(super) struct EventSource {
    bytes: Vec<u8>,
    has_begun: bool,
    after_return: bool,
    data: String,
    kind: String,
    last_event_id: String,
    pub(super) reconnection_ms: Option<u64>,
    pub(super) comments: usize,
    pub(super) messages: Vec<Message>,
}

impl EventSource {
    /// Reads a whole stream in one chunk.
    pub(super) fn read(stream: &[u8]) -> Self {
        let mut source = Self::default();
        source.take(stream);
        source
    }

    /// Takes a chunk. What is not ended by a line end waits for the next one.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        for byte in chunk {
            // CRLF is one line end, also where a chunk ends between the two.
            let is_second = *byte == b'\n' && self.after_return;
            self.after_return = *byte == b'\r';
            match byte {
                _ if is_second => {}
                b'\r' | b'\n' => self.end_line(),
                other => self.bytes.push(*other),
            }
        }
    }

    /// A line end is a byte of its own in UTF-8, so a line can be decoded by itself.
    fn end_line(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let text = String::from_utf8_lossy(&bytes);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let line = if is_first { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        self.process(line);
    }

    fn process(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = match line.find(':') {
            Some(0) => {
                self.comments += 1;
                return;
            }
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(' ').unwrap_or(value))
            }
            None => (line, ""),
        };
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_event_id),
            "retry" if value.bytes().all(|b| b.is_ascii_digit()) => {
                self.reconnection_ms = value.parse().ok().or(self.reconnection_ms);
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let (mut data, kind) = (std::mem::take(&mut self.data), std::mem::take(&mut self.kind));
        if data.is_empty() {
            return;
        }
        data.truncate(data.len() - 1);
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        self.messages.push(Message { kind, data, last_event_id: self.last_event_id.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, data: &str, id: &str) -> Message {
        Message { kind: kind.to_owned(), data: data.to_owned(), last_event_id: id.to_owned() }
    }

    fn told(stream: &str) -> Vec<Message> {
        EventSource::read(stream.as_bytes()).messages
    }

    #[test]
    fn the_examples_of_the_standard_come_out_as_it_says() {
        assert_eq!(told("data: YHOO\ndata: +2\ndata: 10\n\n"), [message("message", "YHOO\n+2\n10", "")]);
        let four =
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let expected = [
            message("message", "first event", "1"),
            message("message", "second event", ""),
            message("message", " third event", ""),
        ];
        assert_eq!(told(four), expected);
        // Two events, the last block is not ended by an empty line and is lost.
        assert_eq!(
            told("data\n\ndata\ndata\n\ndata:"),
            [message("message", "", ""), message("message", "\n", "")]
        );
        assert_eq!(
            told("data:test\n\ndata: test\n\n"),
            [message("message", "test", ""), message("message", "test", "")]
        );
        let named = "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n";
        assert_eq!(told(named), [message("add", "73857293", ""), message("remove", "2153", "")]);
    }

    #[test]
    fn a_line_may_end_in_three_ways_and_a_chunk_anywhere() {
        let stream = "\u{feff}data: ü\r\rdata: b\r\nid: 2\r\n\r\nevent: x\ndata: 😀\n\n".as_bytes();
        let expected = [message("message", "ü", ""), message("message", "b", "2"), message("x", "😀", "2")];
        for size in 1..=stream.len() {
            let mut source = EventSource::default();
            stream.chunks(size).for_each(|chunk| source.take(chunk));
            assert_eq!(source.messages, expected, "{size}");
        }
    }

    #[test]
    fn what_the_standard_ignores_is_ignored() {
        let source = EventSource::read(
            b"retry: 10\nretry: 1x\nretry: -1\n: a\n:b\nnonsense: 1\nDATA: x\n data: y\nid: a\0b\nevent: lost\n\ndata: z\n\n",
        );
        assert_eq!((source.reconnection_ms, source.comments), (Some(10), 2));
        assert_eq!(source.messages, [message("message", "z", "")]);
        // A BOM counts only as the first thing of all; later it is part of a field that nobody knows.
        assert_eq!(told("\n\u{feff}data: x\n\n"), []);
    }
}
