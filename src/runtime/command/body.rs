//! One task of a command: its input, read, and whether its program was ever started.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use crate::body::{self, Cleaned};
use crate::task::TaskError;

use super::super::TaskContext;
use super::super::runnable::{Runnable, failed};
use super::field::{Values, read};
use super::template::Misfit;
use super::{Command, Program};

/// A command with its input.
pub(super) struct CommandBody {
    pub(super) command: Arc<Command>,
    values: Values,
    /// Its program was started. Where none was there is nothing to clean up, and what is there is not its own.
    began: AtomicBool,
}

impl CommandBody {
    /// Reads an input; the error is words that name the field.
    pub(super) fn read(command: Arc<Command>, input: &str) -> Result<Self, String> {
        let values = read(&command.fields, input)?;
        // An id is a number: whichever it is, what fits now fits then.
        for program in [Some(&command.main), command.cleanup.as_ref()].into_iter().flatten() {
            program.words(&command, &values, i64::MAX).map_err(|misfit| words(&misfit))?;
        }
        Ok(Self { command, values, began: AtomicBool::new(false) })
    }

    /// A program with its arguments.
    pub(super) fn words(&self, program: &Program, task: i64) -> Result<Vec<OsString>, String> {
        program.words(&self.command, &self.values, task).map_err(|misfit| words(&misfit))
    }

    pub(super) fn mark_begun(&self) {
        self.began.store(true, Ordering::SeqCst);
    }
}

fn words(misfit: &Misfit) -> String {
    format!("field `{}`: {}", misfit.field, misfit.reason)
}

impl Runnable for CommandBody {
    fn run(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, body::BodyEnd> {
        Box::pin(async move { self.run_blocking(&ctx) })
    }

    fn run_blocking(&self, _ctx: &TaskContext) -> body::BodyEnd {
        failed("Internal", "a command was given to a thread".to_owned())
    }

    #[cfg(target_os = "linux")]
    fn run_process(
        self: Arc<Self>,
        ctx: TaskContext,
        seat: body::process::Seat,
    ) -> BoxFuture<'static, body::BodyEnd> {
        super::run::run(ctx, seat, self)
    }

    fn clean_up(self: Arc<Self>, ctx: TaskContext) -> BoxFuture<'static, Result<Cleaned, TaskError>> {
        if self.command.cleanup.is_none() || !self.began.load(Ordering::SeqCst) {
            return Box::pin(async { Ok(Cleaned::Nothing) });
        }
        #[cfg(target_os = "linux")]
        return super::run::clean_up(ctx, self);
        #[cfg(not(target_os = "linux"))]
        {
            let _ = ctx;
            Box::pin(async { Ok(Cleaned::Nothing) })
        }
    }
}
