//! The audit log: one line for each write that was accepted or refused, and for each read that was refused.
//!
//! Invariants: exactly one line a request, also where the handler broke off, or where the client left before its answer:
//! the command goes on without it, and the line says what came of it; no credentials; control characters and line
//! separators are escaped, whatever writes the log.
//!
//! A method that may write is anything but GET, HEAD and OPTIONS, also where no route knows it: its refusal counts.
//!
//! It deliberately does not log reads that were allowed, nor those that found nothing or came too often.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::Error;
use actix_web::http::{Method, StatusCode};

use super::action::Action;
use super::problem::Problem;
use super::proxies::Sender;
use super::request::RequestId;

/// The line of one request, written when it is dropped: with its answer, when its command is over where the client has
/// left, or before an answer that may take long, and then without a status.
#[derive(Debug)]
pub(super) struct Entry {
    action: &'static str,
    is_write: bool,
    request_id: Option<RequestId>,
    from: Option<Sender>,
    who: Option<Arc<str>>,
    task: Arc<str>,
    status: Option<StatusCode>,
    result: &'static str,
    is_forbidden: bool,
}

impl Entry {
    /// Begins one; the path's pattern stands for the task until its key is known. The path itself may hold anything,
    /// a secret too.
    pub(super) fn new(action: Action, path: impl Into<Arc<str>>, from: Option<Sender>) -> Self {
        Self::of(action.as_str(), action.is_write(), path.into(), from)
    }

    /// Begins that of a request that no route knows, with this method or at all.
    pub(super) fn unrouted(method: &Method, path: impl Into<Arc<str>>, from: Option<Sender>) -> Self {
        let is_write = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        Self::of("none", is_write, path.into(), from)
    }

    fn of(action: &'static str, is_write: bool, task: Arc<str>, from: Option<Sender>) -> Self {
        let result = "client-left";
        Self {
            action,
            is_write,
            request_id: None,
            from,
            who: None,
            task,
            status: None,
            result,
            is_forbidden: false,
        }
    }

    /// The id by which the rest of the log names the request.
    pub(super) fn request_id(&mut self, id: Option<RequestId>) {
        self.request_id = id;
    }

    pub(super) fn who(&mut self, name: Arc<str>) {
        self.who = Some(name);
    }

    pub(super) fn task(&mut self, task: impl Into<Arc<str>>) {
        self.task = task.into();
    }

    /// The write was accepted: stands in the log even if the client does not wait for the answer.
    pub(super) fn done(&mut self, result: &'static str) {
        self.result = result;
    }

    /// It was forbidden, whatever the answer says.
    pub(super) fn forbidden(&mut self) {
        self.is_forbidden = true;
    }

    /// The answer is an error.
    pub(super) fn failed(&mut self, error: &Error) {
        self.status = Some(error.as_response_error().status_code());
        self.result = error.as_error::<Problem>().map_or("refused-by-host", Problem::name);
    }

    /// The request was answered.
    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let was_refused = self.is_forbidden
            || matches!(self.status, Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
        if !self.is_write && !was_refused {
            return;
        }
        tracing::info!(
            target: "quell::audit",
            who = self.who.as_deref().map(escaped).as_deref(),
            action = self.action,
            task = &*escaped(&self.task),
            from = self.from.map(tracing::field::display),
            status = self.status.map(|status| status.as_u16()),
            result = if self.is_forbidden { "forbidden" } else { self.result },
            request_id = self.request_id.as_ref().map(RequestId::as_str),
        );
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().any(breaks_line) {
        Cow::Owned(
            text.chars()
                .flat_map(|c| if breaks_line(c) { c.escape_default().collect() } else { vec![c] })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether some reader of the log would take the character for more than a letter: U+2028 and U+2029 begin a new line
/// and are no control characters.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write as _};
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};
    use tracing::span;

    use super::*;

    /// Writes each event into a line `name=value name=value`.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }

        fn record_str(&mut self, field: &Field, value: &str) {
            write!(self.0, "{}={value} ", field.name()).unwrap();
        }
    }

    impl tracing::Subscriber for Lines {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "quell::audit"
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0.trim_end().to_owned());
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    fn lines(run: impl FnOnce()) -> Vec<String> {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), run);
        let lines = lines.0.lock().unwrap();
        lines.clone()
    }

    fn entry(action: Action) -> Entry {
        let mut entry =
            Entry::new(action, "/cancel/a/B/1", Some(Sender::Peer("127.0.0.1:9".parse().unwrap())));
        entry.who("alice".into());
        entry.task("a/B/1");
        entry
    }

    #[test]
    fn an_accepted_write_leaves_one_line() {
        let told = lines(|| {
            let mut entry = entry(Action::Cancel);
            entry.done("cancelled");
            entry.answered(StatusCode::OK);
        });
        assert_eq!(told, ["who=alice action=cancel task=a/B/1 from=127.0.0.1:9 status=200 result=cancelled"]);
    }

    #[test]
    fn a_refused_write_says_why() {
        let told = lines(|| entry(Action::Patch).failed(&Problem::forbidden("x").into()));
        assert_eq!(told, ["who=alice action=patch task=a/B/1 from=127.0.0.1:9 status=403 result=forbidden"]);
    }

    #[test]
    fn a_read_leaves_a_line_only_where_it_was_refused() {
        assert_eq!(lines(|| entry(Action::Show).answered(StatusCode::OK)).len(), 0);
        assert_eq!(lines(|| entry(Action::Show).failed(&Problem::route_not_found().into())).len(), 0);
        assert_eq!(lines(|| entry(Action::Stream).failed(&Problem::unauthorized("x").into())).len(), 1);
    }

    #[test]
    fn what_is_hidden_from_the_client_stands_in_the_log() {
        let told = lines(|| {
            let mut entry = entry(Action::Show);
            entry.forbidden();
            entry.failed(&Problem::task_not_found(&"a/B/1").into());
        });
        assert!(told[0].ends_with("status=404 result=forbidden"), "{told:?}");
    }

    #[test]
    fn a_client_that_left_leaves_a_line_too() {
        let told = lines(|| drop(Entry::new(Action::Start, "/tasks/a/B", None)));
        assert_eq!(told, ["action=start task=/tasks/a/B result=client-left"]);
    }

    #[test]
    fn what_no_route_knows_leaves_a_line_where_it_may_have_been_a_write() {
        let told = |method: Method| {
            let refused = Problem::route_not_found().into();
            lines(|| Entry::unrouted(&method, "/x", None).failed(&refused))
        };
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::from_bytes(b"BREW").unwrap()] {
            assert_eq!(told(method), ["action=none task=/x status=404 result=route-not-found"]);
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(told(method).is_empty());
        }
    }

    #[test]
    fn control_characters_are_escaped() {
        let told = lines(|| {
            let mut entry = Entry::new(Action::Start, "/x\u{1b}[2J", None);
            entry.who("eve\nwho=root\u{2028}who=me".into());
        });
        let line = "who=eve\\nwho=root\\u{2028}who=me action=start task=/x\\u{1b}[2J result=client-left";
        assert_eq!(told, [line]);
    }
}
