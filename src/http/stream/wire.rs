//! Server-sent events as bytes.
//!
//! Invariants: a frame ends with one empty line and holds no other; `data` is one line of JSON; the members that the
//! server adds (`_task_id`, `_app`, `_model`, `_timestamp`) stand last and cannot be forged by a body.

use std::sync::Arc;

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::runtime::Batch;
use crate::task::{Event, Name, TaskId, TaskKey, Timestamp};

/// What each stream begins with: how soon a client that lost its connection should come back.
pub(super) const FIRST: &str = "retry: 1000\n\n";
/// What breaks a silence.
pub(super) const KEEP_ALIVE: &str = ": keep-alive\n\n";
/// The server goes down and the task goes on elsewhere or later.
pub(super) const SHUTDOWN: &str = "event: shutdown\ndata: {}\n\n";

/// Older events than asked for are gone.
pub(super) fn reset(from: i64) -> String {
    format!("event: reset\ndata: {{\"from\":{from}}}\n\n")
}

/// The events of a batch, from one of its places on. A whole batch is written once, for all streams of the task.
pub(super) fn events(key: &TaskKey, batch: &Batch, from: usize) -> Bytes {
    let written = |events: &[Arc<Event>]| -> Bytes {
        events.iter().map(|one| event(key, one)).collect::<String>().into()
    };
    if from == 0 {
        return batch.made(written);
    }
    written(batch.events().get(from..).unwrap_or_default())
}

/// One event.
fn event(key: &TaskKey, event: &Event) -> String {
    let members = event.members().unwrap_or_else(|error| {
        // Only a row that was changed by hand: its number must still be passed on.
        tracing::warn!(%error, task = %key, seq = event.seq, "an event's data cannot be read");
        Vec::new()
    });
    let mut data = String::with_capacity(event.data.as_str().len().saturating_add(160));
    data.push('{');
    for (name, value) in &members {
        if !matches!(name.as_str(), "_task_id" | "_app" | "_model" | "_timestamp") {
            push_member(&mut data, name, value);
        }
    }
    data.push_str(&added(key, event.at));
    let (seq, kind) = (event.seq, one_line(event.kind.as_str()));
    format!("id: {seq}\nevent: {kind}\ndata: {data}\n\n")
}

fn push_member(data: &mut String, name: &str, value: &RawValue) {
    // A text: writing it cannot fail.
    data.push_str(&serde_json::to_string(name).unwrap_or_default());
    data.push(':');
    data.push_str(&one_line(value.get()));
    data.push(',');
}

/// Line ends may stand between the tokens of a JSON text, never inside one: a space says the same.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[derive(Serialize)]
struct Added<'a> {
    _task_id: TaskId,
    _app: &'a Name,
    _model: &'a Name,
    _timestamp: Timestamp,
}

/// The last members and the closing brace.
fn added(key: &TaskKey, at: Timestamp) -> String {
    let added = Added { _task_id: key.id, _app: &key.app, _model: &key.model, _timestamp: at };
    // Numbers and names: writing them cannot fail.
    let object = serde_json::to_string(&added).unwrap_or_default();
    object.strip_prefix('{').unwrap_or("}").to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::event_source::EventSource;
    use super::*;
    use crate::task::{EventType, JsonText};

    /// A frame as a browser would read it.
    #[derive(Debug, Default, PartialEq)]
    pub(in crate::http::stream) struct Frame {
        pub(in crate::http::stream) id: Option<String>,
        pub(in crate::http::stream) event: Option<String>,
        pub(in crate::http::stream) data: Option<String>,
        pub(in crate::http::stream) retry: Option<String>,
        pub(in crate::http::stream) comments: usize,
    }

    /// Reads a stream by the rules of the HTML standard, with no line of the encoder.
    pub(in crate::http::stream) fn parse(text: &str) -> Vec<Frame> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut frames = Vec::new();
        for block in text.split("\n\n").filter(|block| !block.is_empty()) {
            let mut frame = Frame::default();
            for line in block.split('\n') {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                let slot = match field {
                    "id" => &mut frame.id,
                    "event" => &mut frame.event,
                    "data" => &mut frame.data,
                    "retry" => &mut frame.retry,
                    "" => {
                        frame.comments += 1;
                        continue;
                    }
                    other => panic!("unknown field {other}"),
                };
                assert!(slot.is_none(), "{field} stands twice");
                *slot = Some(value.to_owned());
            }
            frames.push(frame);
        }
        frames
    }

    pub(in crate::http::stream) fn some_event(seq: i64, kind: &str, data: &str) -> Event {
        Event {
            task: TaskId::new(123).unwrap(),
            seq,
            kind: EventType::stored(kind.to_owned()),
            data: JsonText::from_text(data).unwrap(),
            at: Timestamp::from_micros(1_767_225_600_000_000),
        }
    }

    fn key() -> TaskKey {
        "tests/LongTask/123".parse().unwrap()
    }

    const ADDED: &str =
        r#""_task_id":123,"_app":"tests","_model":"LongTask","_timestamp":"2026-01-01T00:00:00.000000Z"}"#;

    fn data_of(data: &str) -> String {
        let text = event(&key(), &some_event(7, "progress", data));
        let frames = parse(&text);
        assert_eq!(frames.len(), 1, "{text}");
        frames[0].data.clone().unwrap()
    }

    #[test]
    fn an_event_is_written_as_the_contract_shows_it() {
        let text = event(&key(), &some_event(7, "progress", r#"{"step":3}"#));
        assert_eq!(text, format!("id: 7\nevent: progress\ndata: {{\"step\":3,{ADDED}\n\n"));
    }

    #[test]
    fn members_keep_their_order_and_their_numbers() {
        assert_eq!(
            data_of(r#"{"z":1.10,"a":[1,{"q":null}]}"#),
            format!(r#"{{"z":1.10,"a":[1,{{"q":null}}],{ADDED}"#)
        );
        assert_eq!(data_of("{}"), format!("{{{ADDED}"));
    }

    #[test]
    fn a_body_cannot_forge_the_members_of_the_server() {
        let forged = r#"{"_task_id":1,"x":2,"_app":"b","_model":null,"\u005ftimestamp":{"a":1}}"#;
        assert_eq!(data_of(forged), format!("{{\"x\":2,{ADDED}"));
    }

    #[test]
    fn data_is_one_line_whatever_stands_in_it() {
        let odd = "{\n\r\n \"a\":\n[1,\r2],\"t\":\"x\\n\\r\\n\\ndata: y\u{2028}\u{85}\",\"n\\n\\nid: 9\":1}";
        let value: serde_json::Value = serde_json::from_str(&data_of(odd)).unwrap();
        assert_eq!(value["t"], "x\n\r\n\ndata: y\u{2028}\u{85}");
        assert_eq!(value["n\n\nid: 9"], 1);
    }

    #[test]
    fn a_type_out_of_a_damaged_row_cannot_end_its_line() {
        let frames = parse(&event(&key(), &some_event(1, "a\r\n\r\nid: 5", "{}")));
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].id.as_deref(), Some("1"));
    }

    #[test]
    fn data_out_of_a_damaged_row_still_has_its_number() {
        assert_eq!(data_of("[1]"), format!("{{{ADDED}"));
    }

    #[test]
    fn notices_that_are_no_events_have_no_id() {
        let reset = parse(&reset(17));
        assert_eq!(reset[0].event.as_deref(), Some("reset"));
        assert_eq!((reset[0].data.as_deref(), &reset[0].id), (Some(r#"{"from":17}"#), &None));
        let shutdown = parse(SHUTDOWN);
        assert_eq!((shutdown[0].event.as_deref(), &shutdown[0].id), (Some("shutdown"), &None));
        assert_eq!(parse(FIRST), [Frame { retry: Some("1000".into()), ..Frame::default() }]);
        assert_eq!(parse(KEEP_ALIVE), [Frame { comments: 1, ..Frame::default() }]);
    }

    /// JSON of any shape, with any character in its texts and names, line ends above all.
    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            ".*",
            "[\r\n\0\u{85}\u{2028}\u{2029}\u{feff}: a]{0,12}",
            "(\r\n|\n|\r){0,3}(data|id|event|retry|): ?.{0,5}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            let members = proptest::collection::btree_map(text.clone(), inner.clone(), 0..4);
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
                members.prop_map(|members| Value::Object(members.into_iter().collect()))
            ]
        })
    }

    /// The members of an event, none of which is named as the server's own.
    fn any_members() -> impl Strategy<Value = Value> {
        proptest::collection::btree_map("([^_].*)?", any_json(), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    /// The same JSON as text, with line ends of all kinds between its tokens.
    fn spread(value: &Value, line_end: &str) -> String {
        serde_json::to_string_pretty(value).unwrap().replace('\n', line_end)
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_of_a_browser_in_chunks_of_any_size(
            sent in proptest::collection::vec(("[a-z][a-z0-9_]{0,63}", any_members(), "(\n|\r|\r\n){1,3}", any::<bool>()), 0..6),
            size in 1_usize..64,
        ) {
            let mut stream = FIRST.to_owned();
            for (seq, (kind, data, line_end, is_quiet)) in (1..).zip(&sent) {
                stream.push_str(&event(&key(), &some_event(seq, kind, &spread(data, line_end))));
                stream.push_str(if *is_quiet { KEEP_ALIVE } else { "" });
            }
            let mut source = EventSource::default();
            stream.as_bytes().chunks(size).for_each(|chunk| source.take(chunk));
            prop_assert_eq!(source.reconnection_ms, Some(1000));
            prop_assert_eq!(source.comments, sent.iter().filter(|(.., is_quiet)| *is_quiet).count());
            prop_assert_eq!(source.messages.len(), sent.len());
            for (seq, (message, (kind, data, ..))) in (1..).zip(source.messages.iter().zip(&sent)) {
                prop_assert_eq!(&message.kind, kind);
                prop_assert_eq!(&message.last_event_id, &i64::to_string(&seq));
                let mut value: Value = serde_json::from_str(&message.data).unwrap();
                let members = value.as_object_mut().unwrap();
                prop_assert_eq!(members.remove("_task_id"), Some(Value::from(123)));
                for added in ["_app", "_model", "_timestamp"] {
                    prop_assert!(members.remove(added).is_some());
                }
                prop_assert_eq!(&value, data);
            }
        }

        /// Out of a row that was changed by hand: whatever its type is, it is one event with its number.
        #[test]
        fn no_type_breaks_out_of_its_frame(kind in "(.|\r|\n)*", next in "[a-z]{1,8}") {
            let stream = event(&key(), &some_event(4, &kind, "{}")) + &event(&key(), &some_event(5, &next, "{}"));
            let told = EventSource::read(stream.as_bytes()).messages;
            let ids: Vec<&str> = told.iter().map(|message| message.last_event_id.as_str()).collect();
            prop_assert_eq!(ids, ["4", "5"]);
            prop_assert_eq!(&told[1].kind, &next);
        }
    }
}
