//! What each action takes and answers.
//!
//! Invariant: both matches are exhaustive, so that a new action or a new problem does not compile before it is
//! documented. What the table of actions says already (method, path, who may) is not repeated here.

use utoipa::openapi::path::Parameter;
use utoipa::openapi::{RefOr, Schema};

use crate::http::action::{Action, Needs};
use crate::http::dto::{
    CancelledDto, CancelledManyDto, CancellingDto, NotRunningDto, SignalDto, TaskDto, TaskPageDto,
};
use crate::http::problem::Kind;
use crate::task::Status;

use super::schemas::{any, header, name, of_name, owner, query, reference, text, whole_number};

pub(super) const JSON: &str = "application/json";
pub(super) const PLAIN: &str = "text/plain";
const EVENTS: &str = "text/event-stream";

/// What is known of one action.
pub(super) struct Described {
    pub(super) summary: &'static str,
    pub(super) details: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
}

/// A request's body, always JSON.
pub(super) struct Body {
    pub(super) schema: RefOr<Schema>,
    pub(super) is_required: bool,
}

/// An answer that is no problem.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) means: &'static str,
    pub(super) content: Vec<(&'static str, RefOr<Schema>)>,
    pub(super) headers: &'static [Header],
}

/// A header of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Location,
    PreferenceApplied,
}

impl Described {
    fn new(summary: &'static str, details: &'static str) -> Self {
        Self { summary, details, parameters: Vec::new(), body: None, answers: Vec::new() }
    }

    fn takes(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    fn body(mut self, schema: RefOr<Schema>, is_required: bool) -> Self {
        self.body = Some(Body { schema, is_required });
        self
    }

    fn answers(self, status: u16, means: &'static str, kind: &'static str, schema: RefOr<Schema>) -> Self {
        self.answers_with(&[], status, means, vec![(kind, schema)])
    }

    fn answers_with(
        mut self,
        headers: &'static [Header],
        status: u16,
        means: &'static str,
        content: Vec<(&'static str, RefOr<Schema>)>,
    ) -> Self {
        self.answers.push(Answer { status, means, content, headers });
        self
    }
}

/// What an action takes, and what it answers where all is well.
pub(super) fn describe(action: Action) -> Described {
    let described = of_action(action);
    if takes_key(action) { described.takes(idempotency_key()) } else { described }
}

fn of_action(action: Action) -> Described {
    match action {
        Action::Start => start(),
        Action::Show => Described::new("Show a task", "As the database has it now.").answers(
            200,
            "The task.",
            JSON,
            reference::<TaskDto<'_>>(),
        ),
        Action::Patch => Described::new(
            "Move the deadline of a task",
            "The timeout counts from `started_at`; one that is past already fires at once.",
        )
        .body(of_name("PatchBody"), true)
        .answers(200, "The task.", JSON, reference::<TaskDto<'_>>()),
        Action::Signal => signal(),
        Action::Cancel => cancel(),
        Action::CancelMany => cancel_many(),
        Action::List => list(),
        Action::Stream => stream(),
        Action::Metrics => Described::new(
            "The numbers of this runtime",
            "For Prometheus; needs `view_any_task`.",
        )
        .answers(200, "Prometheus text.", PLAIN, text().into()),
        Action::Health | Action::Live => line("Whether the process answers", "It does.", "OK"),
        Action::Ready => line("Whether it takes work", "It does.", "ready").answers(
            503,
            "It does not: recovering, draining, without a database, or at a limit. The text says which.",
            PLAIN,
            text().into(),
        ),
        Action::OpenApi => {
            Described::new("This document", "OpenAPI 3.1.").answers(200, "The document.", JSON, any())
        }
        Action::Index => line("The routes in a few lines of text", "The list.", "GET /health"),
    }
}

/// Whether an action may answer with a problem.
pub(super) fn may_answer(action: Action, kind: Kind) -> bool {
    let is_open = action.needs() == Needs::Nothing;
    let takes_body = action.is_write();
    let is_of_task = action.path().contains("{quell_id}");
    match kind {
        // Where only loopback may call, a foreign host may not even ask whether it is there.
        Kind::Forbidden => true,
        Kind::InvalidPath
        | Kind::Unauthorized
        | Kind::TooManyRequests
        | Kind::Internal
        | Kind::ShuttingDown
        | Kind::TooManyPending
        | Kind::DatabaseUnavailable => !is_open,
        Kind::OutcomeUnknown => takes_body,
        Kind::TooManyStreams => action == Action::Stream,
        Kind::MetricsElsewhere => action == Action::Metrics,
        Kind::KeyInUse | Kind::KeyReused => takes_key(action),
        Kind::InvalidTaskId | Kind::TaskNotFound => is_of_task,
        Kind::InvalidBody | Kind::RequestTimeout | Kind::BodyTooLarge | Kind::UnsupportedMediaType => {
            takes_body
        }
        Kind::UnknownModel | Kind::TooManyTasks => action == Action::Start,
        Kind::AlreadyEnded => action == Action::Patch,
        Kind::InvalidInput => matches!(action, Action::Start | Action::Signal),
        // Of no action: these say that there is none.
        Kind::RouteNotFound | Kind::MethodNotAllowed => false,
    }
}

/// Whether an action may be repeated under a key.
fn takes_key(action: Action) -> bool {
    matches!(action, Action::Start | Action::Signal | Action::Cancel | Action::CancelMany)
}

fn list() -> Described {
    Described::new(
        "List tasks",
        "Only tasks that the caller may see, the highest id first, a page at a time.",
    )
    .takes(query("app", "Only those of this app.", name()))
    .takes(query("model", "Only those of this model.", name()))
    .takes(query(
        "status",
        "Only those of this status.",
        text().enum_values(Some(Status::ALL.map(Status::as_str))),
    ))
    .takes(query("owner", "Only those that this principal started.", owner()))
    .takes(query("limit", "How many at most; 50 if it is not given.", whole_number(1).maximum(Some(500))))
    .takes(query("after", "The `next` of an earlier page.", text()))
    .answers(200, "A page.", JSON, reference::<TaskPageDto<'_>>())
}

fn cancel_many() -> Described {
    Described::new(
        "Cancel many tasks",
        "Unfinished tasks that the caller may cancel and the filter names, at most 1,000 a call. It waits as the cancel \
         of one task does; what still stops then counts as `cancelling`.",
    )
    .takes(prefer("How long to wait for their ends."))
    .body(of_name("CancelManyBody"), true)
    .answers_with(
        &[Header::PreferenceApplied],
        200,
        "What became of each.",
        vec![(JSON, reference::<CancelledManyDto<'_>>())],
    )
}

fn start() -> Described {
    const HEADERS: &[Header] = &[Header::Location, Header::PreferenceApplied];
    let task = || vec![(JSON, reference::<TaskDto<'_>>())];
    Described::new(
        "Start a task",
        "Answered when its row is durable. The body is optional, and so is each member.",
    )
    .takes(prefer("How long to wait for the end of the task."))
    .body(of_name("StartBody"), false)
    .answers_with(HEADERS, 202, "It is started: `running` where there was room, else `pending`.", task())
    .answers_with(HEADERS, 200, "It ended within the wait that was asked for.", task())
}

fn signal() -> Described {
    Described::new(
        "Hand input to a task",
        "Any JSON; no body is `null`. Signals are durable and kept in order until the task takes them.",
    )
    .body(any(), false)
    .answers(202, "The signal is durable.", JSON, reference::<SignalDto<'_>>())
    .answers(404, NOT_RUNNING, JSON, reference::<NotRunningDto<'_>>())
}

fn cancel() -> Described {
    const HEADERS: &[Header] = &[Header::PreferenceApplied];
    Described::new(
        "Cancel a task",
        "Waits for the end, 10 seconds unless asked otherwise. The first cancel of a task stands: later ones wait for \
         the same end and get the same answer.",
    )
    .takes(prefer("How long to wait for the end of the task."))
    .body(of_name("CancelBody"), false)
    .answers_with(HEADERS, 200, "It has stopped.", vec![(JSON, reference::<CancelledDto<'_>>())])
    .answers_with(
        HEADERS,
        202,
        "The request is durable, and the task still stops.",
        vec![(JSON, reference::<CancellingDto<'_>>())],
    )
    .answers_with(HEADERS, 404, NOT_RUNNING, vec![(JSON, reference::<NotRunningDto<'_>>())])
}

fn stream() -> Described {
    Described::new(
        "Watch a task",
        "Its events as server-sent events, from the first one on or from where a client left off. Each has its number \
         as `id`, its type as `event` and one line of JSON as `data`. The last one is `completed`, `error` or \
         `cancelled`; then the server closes.",
    )
    .takes(query("after", "Resume after this event; the header wins.", whole_number(0)))
    .takes(header(
        "Last-Event-ID",
        "Resume after this event, as an `EventSource` does. A malformed one counts as none.",
        text(),
    ))
    .answers_with(
        &[],
        200,
        "The events. Of a finished task, the task itself where the client asks for JSON or takes anything.",
        vec![(EVENTS, text().into()), (JSON, reference::<TaskDto<'_>>())],
    )
    .answers_with(&[], 204, "There is nothing after that event: an `EventSource` stops.", Vec::new())
}

const NOT_RUNNING: &str = "The task had ended before, and nothing was changed; or there is no such task.";

fn idempotency_key() -> Parameter {
    let description = "Kept for 24 hours for each principal: the same request gets the first answer again, another one \
                       is refused.";
    header("Idempotency-Key", description, text().pattern(Some("^[!-~]{1,255}$")))
}

fn prefer(description: &str) -> Parameter {
    let description = format!("`wait=N`: {description} Seconds; more than 60 counts as 60.");
    header("Prefer", &description, text().examples(["wait=10"]))
}

fn line(summary: &'static str, means: &'static str, example: &'static str) -> Described {
    Described::new(summary, "No credentials.").answers(200, means, PLAIN, text().examples([example]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_but_those_of_no_action_stands_in_some_answer() {
        for kind in Kind::ALL {
            let is_of_none = matches!(kind, Kind::RouteNotFound | Kind::MethodNotAllowed);
            let found = Action::ALL.into_iter().any(|action| may_answer(action, *kind));
            assert_ne!(found, is_of_none, "{kind:?}");
        }
    }

    #[test]
    fn what_needs_nobody_refuses_nobody_but_who_names_another_server() {
        for action in Action::ALL.into_iter().filter(|action| action.needs() == Needs::Nothing) {
            let refuses = |kind: &&Kind| may_answer(action, **kind);
            assert_eq!(
                Kind::ALL.iter().filter(refuses).collect::<Vec<_>>(),
                [&Kind::Forbidden],
                "{action:?}"
            );
        }
    }
}
