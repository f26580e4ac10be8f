//! Owns reading an event stream as the WHATWG standard says, plus what it hides: comments, `retry:`, ids.

use std::collections::VecDeque;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::wait::in_time;

/// An event as an `EventSource` would give it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The `id:` of this very frame; none where it had none.
    pub(crate) id: Option<i64>,
    pub(crate) event: String,
    pub(crate) data: String,
}

impl Frame {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("the data is JSON")
    }

    pub(crate) fn is_terminal(&self) -> bool {
        ["completed", "error", "cancelled"].contains(&self.event.as_str())
    }
}

/// What stands in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Frame(Frame),
    Comment(String),
    Retry(u64),
}

/// The parser: takes bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_return: bool,
    id: Option<i64>,
    event: String,
    data: Option<String>,
}

impl Parser {
    /// What these bytes complete.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        for byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    let line = String::from_utf8(std::mem::take(&mut self.line)).expect("a stream is UTF-8");
                    items.extend(self.line(&line));
                }
                other => self.line.push(*other),
            }
        }
        items
    }

    fn line(&mut self, line: &str) -> Option<Item> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let (id, data) = (self.id.take(), self.data.take()?);
            return Some(Item::Frame(Frame { id, event, data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => return Some(Item::Comment(value.to_owned())),
            "retry" => return Some(Item::Retry(value.parse().expect("a number"))),
            "id" => self.id = Some(value.parse().expect("our ids are numbers")),
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => data.extend(["\n", value]),
                None => self.data = Some(value.to_owned()),
            },
            other => panic!("a stream has no field `{other}`"),
        }
        None
    }
}

/// An open stream.
pub(crate) struct Watching {
    response: Response,
    parser: Parser,
    ready: VecDeque<Item>,
}

impl Watching {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let response = in_time("a stream opens", request.send()).await.expect("the server answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self::of(response)
    }

    pub(crate) fn of(response: Response) -> Self {
        Self { response, parser: Parser::default(), ready: VecDeque::new() }
    }

    pub(crate) fn headers(&self) -> &reqwest::header::HeaderMap {
        self.response.headers()
    }

    /// The next item, or an error where the connection broke; none at its end.
    pub(crate) async fn item(&mut self) -> Option<reqwest::Result<Item>> {
        in_time("the stream goes on", self.next_item()).await
    }

    async fn next_item(&mut self) -> Option<reqwest::Result<Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(Ok(item));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.ready.extend(self.parser.take(&bytes)),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The next event; none at the end of the stream, however it came.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        in_time("an event, or the end of the stream", self.next_frame()).await
    }

    async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.next_item().await {
                Some(Ok(Item::Frame(frame))) => return Some(frame),
                Some(Ok(Item::Comment(_) | Item::Retry(_))) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Everything up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    /// Everything up to and with the first event of this type.
    pub(crate) async fn until(&mut self, event: &str) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let frame = self.frame().await.unwrap_or_else(|| panic!("no `{event}` came: {frames:?}"));
            let found = frame.event == event;
            frames.push(frame);
            if found {
                return frames;
            }
        }
    }
}
