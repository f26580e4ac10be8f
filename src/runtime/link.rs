//! What stands where the actors stand, in the process of an isolated body: the way to its server.

use std::sync::Arc;

use crate::body::Report;
use crate::store::Write;
use crate::task::TaskId;

use super::Refusal;
use super::messages::{BodyStopped, Cancel, Reply};
use super::services::Services;

/// The way from the process of an isolated body to its server, which has the actors.
pub(crate) trait Link: Send + Sync {
    /// A write of the body; what the reply holds is given back when it is on its way.
    fn write(&self, write: Write, reply: Reply);
    /// The body asks its own task to stop.
    fn ask(&self, cancel: Cancel) -> Result<(), Refusal>;
    /// The body gives a sign of life.
    fn sign(&self);
    /// The body has ended.
    fn report(&self, report: Report);
}

impl Services {
    /// Puts a link in the place of the actors, once, before anything runs.
    pub(crate) fn connect_link(&self, link: Arc<dyn Link>) {
        // Err: connected twice, which nobody does.
        let _ = self.link.set(link);
    }

    /// What stands for the actors, where this is the process of an isolated body.
    pub(crate) fn link(&self) -> Option<&dyn Link> {
        self.link.get().map(|link| &**link)
    }

    /// A body asks its own task to stop.
    pub(crate) fn ask_itself(&self, cancel: Cancel) -> Result<(), Refusal> {
        match self.link() {
            Some(link) => link.ask(cancel),
            None => self.command(cancel).map(drop),
        }
    }

    /// A body and its cleanup have ended.
    pub(crate) fn report(&self, id: TaskId, report: Report) {
        match self.link() {
            Some(link) => link.report(report),
            None => self.tell_coordinator(BodyStopped(id, report)),
        }
    }
}
