//! One child from its start to its reaping: what it says, the stop, and its death, whichever comes first.
//!
//! What a child told as its end stands, however it died afterwards. Otherwise its death tells: by a signal of ours it
//! was killed, any exit code is its own doing.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until};

use super::super::control::Control;
use super::super::end::BodyEnd;
use super::spawn::Process;

/// How long a child that told its end may take to leave.
const LEAVE: Duration = Duration::from_millis(500);

/// How long what a killed child said may take to be taken, where the disk is slow. What waits longer is lost, as the
/// event of a body is that was dropped while it waited there.
const AFTER_KILL: Duration = Duration::from_millis(50);

/// How the conversation with a child ended.
#[derive(Debug)]
pub(crate) enum Talked {
    /// It told how its body ended.
    End(BodyEnd),
    /// Its pipes ended.
    Closed,
    /// It said what cannot be understood.
    Broken(String),
}

/// How a child died that had told nothing, and was not killed by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// It ended with this exit code.
    Exit(i32),
    /// A signal of this number ended it.
    Signal(i32),
}

/// Supervises a child to its end; comes back when it is reaped. Cancel-unsafe by design: it is dropped only together
/// with its runtime, and then the child is killed.
///
/// `asked` resolves when the task is asked to stop; `talk` is the conversation; `judge` names the end of a child that
/// told none.
pub(crate) async fn supervise(
    mut process: Process,
    control: &Control,
    asked: impl Future<Output = ()>,
    talk: impl Future<Output = Talked>,
    judge: impl AsyncFnOnce(Death) -> BodyEnd,
) -> BodyEnd {
    tokio::pin!(asked, talk);
    let (mut is_asked, mut is_stopped, mut limit) = (false, false, None::<Instant>);
    let (mut status, mut talked) = (None::<ExitStatus>, None::<Talked>);
    while status.is_none() || talked.is_none() {
        tokio::select! {
            biased;
            () = control.stop_requested(), if !is_stopped => {
                is_stopped = true;
                process.signal(Signal::KILL);
                if status.is_some() {
                    limit = Some(Instant::now() + AFTER_KILL);
                }
            }
            () = &mut asked, if !is_asked => {
                is_asked = true;
                process.signal(Signal::TERM);
            }
            () = process.died(), if status.is_none() => {
                status = Some(process.reap().unwrap_or_default());
                limit = is_stopped.then(|| Instant::now() + AFTER_KILL);
            }
            told = &mut talk, if talked.is_none() => {
                match told {
                    Talked::Broken(_) => process.signal(Signal::KILL),
                    Talked::End(_) | Talked::Closed => limit = Some(Instant::now() + LEAVE),
                }
                talked = Some(told);
            }
            () = sleep_until(limit.unwrap_or_else(Instant::now)), if limit.is_some() => {
                limit = None;
                if status.is_some() {
                    talked.get_or_insert(Talked::Closed);
                } else if matches!(talked, Some(Talked::Closed)) {
                    talked = Some(Talked::Broken("the process closed its pipe and went on running".to_owned()));
                }
                process.signal(Signal::KILL);
            }
        }
    }
    let status = status.unwrap_or_default();
    match talked {
        Some(Talked::End(end)) => end,
        Some(Talked::Broken(message)) if !is_stopped => {
            BodyEnd::Failed { error_type: "protocol".to_owned(), message }
        }
        _ => match (status.signal(), status.code()) {
            (Some(number), _) if is_ours(number, is_asked, is_stopped) => BodyEnd::Killed,
            (Some(number), _) => judge(Death::Signal(number)).await,
            (None, code) => judge(Death::Exit(code.unwrap_or_default())).await,
        },
    }
}

/// Sees a child to its end that nobody asks to stop; comes back when it is reaped and all it said is heard. Dropped, it
/// kills the child.
pub(crate) async fn see_out(mut process: Process, hear: impl Future<Output = ()>) -> Death {
    tokio::pin!(hear);
    let mut is_heard = false;
    loop {
        tokio::select! {
            biased;
            () = process.died() => break,
            () = &mut hear, if !is_heard => is_heard = true,
        }
    }
    let status = process.reap().unwrap_or_default();
    if !is_heard {
        hear.await;
    }
    match (status.signal(), status.code()) {
        (Some(number), _) => Death::Signal(number),
        (None, code) => Death::Exit(code.unwrap_or_default()),
    }
}

/// Whether the signal is one that we sent to stop the task.
fn is_ours(number: i32, is_asked: bool, is_stopped: bool) -> bool {
    (is_asked && number == Signal::TERM.as_raw()) || (is_stopped && number == Signal::KILL.as_raw())
}
