//! Bodies in processes of their own: this same executable, started again for one task.
//!
//! | side | where | does |
//! |---|---|---|
//! | the server | `server` | starts the child, hands it the input, takes its events, tells it to stop |
//! | the child | `child` | runs the one body with a context whose link is the pipe |
//! | both | `said` | what they say to each other |
//!
//! Invariants: a child opens no database, binds no port and reads no settings; the server believes nothing that a
//! child says before it was checked as if a stranger had said it; an input is in no argument and no environment.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Registry;

#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod said;
#[cfg(target_os = "linux")]
mod server;

#[cfg(target_os = "linux")]
pub(crate) use server::{name_of, run};

/// Whether `main` of this process has said that it runs children.
static MAIN_ASKED: AtomicBool = AtomicBool::new(false);

/// The first line of `main` of an application with isolated task types ([`Registry::isolated`]).
///
/// In the application itself it returns at once. Where this process was started by a running application for the
/// body of one task, it runs that body with the registry that it is given, and ends the process: it does not return
/// then, and nothing after it happens a second time. So it must come before ports are bound, files opened or
/// arguments read. The closure may set up a log on standard error, which the application's log takes over.
///
/// Without this line the tasks of isolated types fail, with the error type `no_child_entry`; no second server is
/// ever started.
///
/// ```no_run
/// use quell::{Registry, Task, TaskContext, TaskError};
///
/// #[derive(serde::Deserialize)]
/// struct Render {
///     page: u32,
/// }
///
/// impl Task for Render {
///     const APP: &'static str = "shop";
///     const MODEL: &'static str = "Render";
///     type Output = u32;
///
///     async fn process(&self, ctx: TaskContext) -> Result<u32, TaskError> {
///         ctx.send_event("page", &serde_json::json!({ "number": self.page })).await?;
///         Ok(std::process::id()) // not that of the server
///     }
/// }
///
/// fn registry() -> Result<Registry, quell::RegistryError> {
///     Registry::new().isolated::<Render>()
/// }
///
/// fn main() {
///     quell::run_child_if_asked(registry);
///     // From here on this is the application.
/// }
/// ```
pub fn run_child_if_asked<E: Display>(registry: impl FnOnce() -> Result<Registry, E>) {
    MAIN_ASKED.store(true, Ordering::SeqCst);
    #[cfg(target_os = "linux")]
    if is_child() {
        crate::body::process::keep_if_asked();
        child::run(registry);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

/// Whether this process was started for the body of one task.
pub(crate) fn is_child() -> bool {
    #[cfg(target_os = "linux")]
    return crate::body::process::is_child();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether `main` of this process runs children: else tasks of isolated types fail.
#[cfg(feature = "server")]
pub(crate) fn main_runs_children() -> bool {
    cfg!(target_os = "linux") && MAIN_ASKED.load(Ordering::SeqCst)
}

/// The end of a body whose process cannot be started, because `main` would not know what it is for.
#[cfg(target_os = "linux")]
pub(crate) fn no_entry() -> Option<crate::body::BodyEnd> {
    let words = "the host's main does not call quell::run_child_if_asked, so no process can be started";
    let is_asked = MAIN_ASKED.load(Ordering::SeqCst);
    (!is_asked).then(|| super::runnable::failed("no_child_entry", words.to_owned()))
}

/// Starts the thread of processes, where there are models that need it.
pub(crate) fn prepare(
    services: &super::services::Services,
    settings: &super::RuntimeSettings,
) -> std::io::Result<()> {
    let mut isolated = services.registry.models().filter(|model| model.kind.is_process());
    let Some(model) = isolated.next() else { return Ok(()) };
    if !MAIN_ASKED.load(Ordering::SeqCst) {
        tracing::error!(
            model = model.full_name(),
            "tasks of isolated types will fail: main does not call quell::run_child_if_asked"
        );
    }
    #[cfg(target_os = "linux")]
    {
        let (limit, open_files) = (settings.max_processes, settings.process_open_files);
        let children = crate::body::process::Children::start(limit, open_files)?;
        // Err: prepared twice, which nobody does.
        let _ = services.children.set(children);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = settings;
    Ok(())
}
