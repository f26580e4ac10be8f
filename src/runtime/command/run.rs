//! The process of a command, from its start to its end, and that of its cleanup.
//!
//! Invariants: what a program prints is taken in the order in which each of its pipes carries it, no faster than the
//! disk takes events and than the bounds below, so a flood costs a buffer and slows down the program; that it waits to
//! be read holds up no stop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::body::process::{Death, Launch, Line, Lines, Order, Process, Seat, Talked, see_out, supervise};
use crate::body::{Attempt as _, BodyEnd, Cleaned};
use crate::task::TaskError;

use super::super::TaskContext;
use super::super::isolated::{name_of, no_entry};
use super::super::runnable::failed;
use super::body::CommandBody;

/// The most bytes of a line that its event keeps.
const MAX_LINE: usize = 8 * 1024;

/// The most lines of one program that become events in a second.
const LINES_PER_SECOND: u32 = 1_000;

/// The most bytes of each of its pipes that are read in a second: lines that are too long are passed over.
const BYTES_PER_SECOND: usize = 8 * 1024 * 1024;

/// The last lines on standard error, which may say why it failed; of each so many characters.
const TAIL: usize = 5;
const TAIL_CHARACTERS: usize = 200;

/// A line, as its event has it. What is usual is left out.
#[derive(Serialize)]
struct LineData<'a> {
    line: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    utf8: Option<bool>,
}

/// The last lines that were said.
#[derive(Default)]
struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    fn keep(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(TAIL_CHARACTERS).collect());
    }

    /// `; it said: …`, or nothing.
    fn words(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words = lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | ");
        if words.is_empty() { String::new() } else { format!("; it said: {words}") }
    }
}

/// Runs the program to its end.
pub(super) fn run(ctx: TaskContext, seat: Seat, body: Arc<CommandBody>) -> BoxFuture<'static, BodyEnd> {
    Box::pin(async move {
        if let Some(end) = no_entry() {
            return end;
        }
        let process = match start(&ctx, &seat, &body, &body.command.main) {
            Ok(process) => process,
            Err(reason) => return failed("spawn", reason),
        };
        body.mark_begun();
        let tail = Tail::default();
        let mut process = process;
        let pipes = Pipes::of(&mut process);
        let dead = process.death();
        let talk = async {
            send_lines(&ctx, pipes, &dead, &tail).await;
            // A program may close its pipes and go on.
            dead.cancelled().await;
            Talked::Closed
        };
        let judge = async |death: Death| match death {
            Death::Exit(0) => BodyEnd::Returned(Some(r#"{"exit_code":0}"#.to_owned())),
            other => why_it_failed(other, &ctx, &tail),
        };
        let asked = async {
            ctx.live().token().cancelled().await;
        };
        supervise(process, ctx.live().control(), asked, talk, judge).await
    })
}

/// Starts one of its programs.
fn start(
    ctx: &TaskContext,
    seat: &Seat,
    body: &CommandBody,
    program: &super::Program,
) -> Result<Process, String> {
    let words = body.words(program, ctx.live().id.get())?;
    let launch = Launch {
        order: Order::new(ctx.live().model.settings.child, words),
        environment: Some(body.command.environment.clone()),
        folder: body.command.folder.clone(),
        has_input: false,
    };
    Process::spawn(&launch, seat).map_err(|error| format!("the program cannot be started: {error}"))
}

/// What a program prints to.
struct Pipes {
    output: Option<Lines>,
    errors: Option<Lines>,
}

impl Pipes {
    fn of(process: &mut Process) -> Self {
        let lines =
            |pipe| Lines::new(crate::body::process::Outlet::slowed_to(pipe, BYTES_PER_SECOND), MAX_LINE);
        Self { output: process.output.take().map(lines), errors: process.errors.take().map(lines) }
    }

    /// The next line of either, and whether it is one of standard error; none when both are at their end.
    async fn next(&mut self) -> Option<(bool, Line)> {
        loop {
            tokio::select! {
                line = next_of(&mut self.output), if self.output.is_some() => match line {
                    Some(line) => return Some((false, line)),
                    None => self.output = None,
                },
                line = next_of(&mut self.errors), if self.errors.is_some() => match line {
                    Some(line) => return Some((true, line)),
                    None => self.errors = None,
                },
                else => return None,
            }
        }
    }
}

async fn next_of(lines: &mut Option<Lines>) -> Option<Line> {
    match lines {
        Some(lines) => lines.next().await,
        None => None,
    }
}

/// Makes events of what a program prints, until both its pipes end.
async fn send_lines(ctx: &TaskContext, mut pipes: Pipes, dead: &CancellationToken, tail: &Tail) {
    let (mut since, mut count) = (Instant::now(), 0);
    while let Some((is_error, line)) = pipes.next().await {
        if since.elapsed() >= Duration::from_secs(1) {
            (since, count) = (Instant::now(), 0);
        }
        count += 1;
        if count > LINES_PER_SECOND {
            // What is left of a dead program is little, and nobody is slowed down by waiting.
            tokio::select! {
                () = sleep_until(since + Duration::from_secs(1)) => {}
                () = dead.cancelled() => {}
            }
        }
        if is_error {
            tail.keep(&line.text);
        }
        let kind = if is_error { "stderr" } else { "stdout" };
        // U+0000 is UTF-8, and no text that a database keeps.
        let text = if line.text.contains('\0') { &*line.text.replace('\0', "\u{fffd}") } else { &line.text };
        let is_marked = !line.is_utf8 || text != line.text;
        let data =
            LineData { line: text, cut: line.is_cut.then_some(true), utf8: is_marked.then_some(false) };
        // Err: it was written off, and what it still says is refused.
        let _ = ctx.send_event(kind, &data).await;
    }
}

/// Names the end of a program that did not succeed.
fn why_it_failed(death: Death, ctx: &TaskContext, tail: &Tail) -> BodyEnd {
    let said = tail.words();
    match death {
        Death::Exit(code) => failed("exit_code", format!("the program ended with exit code {code}{said}")),
        // SIGXCPU
        Death::Signal(24) if ctx.live().model.settings.child.cpu.is_some() => failed(
            "cpu_limit",
            format!("the program was ended: it used more processor time than its limit{said}"),
        ),
        Death::Signal(number) => {
            let name = name_of(number);
            failed(
                "signal",
                format!("the program was ended by signal {number}{name}, which was not ours{said}"),
            )
        }
    }
}

/// Runs the program that cleans up, to its end.
pub(super) fn clean_up(
    ctx: TaskContext,
    body: Arc<CommandBody>,
) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
    Box::pin(async move {
        let services = Arc::clone(&ctx.live().services);
        let Some(children) = services.children.get() else {
            return Err(TaskError::new("spawn", "the thread of processes is missing"));
        };
        let work = move |seat| -> BoxFuture<'static, Result<(), TaskError>> {
            Box::pin(async move { run_cleanup(&ctx, &seat, &body).await })
        };
        match children.clean(work).await {
            Some(done) => done.map(|()| Cleaned::Done),
            None => Err(TaskError::new("spawn", "the thread of processes has ended")),
        }
    })
}

async fn run_cleanup(ctx: &TaskContext, seat: &Seat, body: &CommandBody) -> Result<(), TaskError> {
    let Some(program) = &body.command.cleanup else { return Ok(()) };
    let mut process = start(ctx, seat, body, program).map_err(|reason| TaskError::new("spawn", reason))?;
    let (mut pipes, tail) = (Pipes::of(&mut process), Tail::default());
    let hear = async {
        while let Some((_, line)) = pipes.next().await {
            tail.keep(&line.text);
        }
    };
    let death = see_out(process, hear).await;
    match death {
        Death::Exit(0) => Ok(()),
        Death::Exit(code) => Err(TaskError::new(
            "exit_code",
            format!("the program ended with exit code {code}{}", tail.words()),
        )),
        Death::Signal(number) => {
            let words =
                format!("the program was ended by signal {number}{}{}", name_of(number), tail.words());
            Err(TaskError::new("signal", words))
        }
    }
}
