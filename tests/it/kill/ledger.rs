//! Owns what clients were told over all lives of a server, and holds each new life to it.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::load::Told;
use crate::server::{Client, Frame, Server, Task};

/// Ended tasks that are looked at again in one life, at most.
const LOOKS: usize = 200;

/// What is known of one task.
#[derive(Debug, Default)]
struct Known {
    owner: String,
    input: Value,
    /// The reason of the first cancel that was acknowledged as accepted.
    reason: Option<String>,
    /// An answer that said that it was over: `cancelled` or `not_running`.
    over: Option<Value>,
    /// The terminal row, once anybody saw one, and when.
    last: Option<(Value, Instant)>,
    /// Events, by their number.
    events: BTreeMap<i64, (String, String)>,
}

/// What clients were told.
#[derive(Debug)]
pub(super) struct Ledger {
    seed: u64,
    pub(super) kills: u32,
    tasks: BTreeMap<i64, (Task, Known)>,
    node: Option<String>,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, kills: 0, tasks: BTreeMap::new(), node: None }
    }

    pub(super) fn started(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn cancelled(&self) -> usize {
        self.tasks.values().filter(|(_, known)| known.reason.is_some()).count()
    }

    pub(super) fn seen(&self) -> usize {
        self.tasks.values().map(|(_, known)| known.events.len()).sum()
    }

    /// Tasks of an owner that have not ended, as far as anybody saw.
    pub(super) fn unfinished(&self, owner: &str) -> Vec<Task> {
        let open = self.tasks.values().filter(|(_, known)| known.owner == owner && known.last.is_none());
        open.map(|(task, _)| task.clone()).collect()
    }

    /// Keeps what was told in a life that has ended.
    pub(super) fn note(&mut self, told: Vec<Told>, kill: u32) {
        self.kills = kill + 1;
        let mut told = told;
        // Starts first, then looks in the order of their answers: several clients look at one task.
        told.sort_by_key(|told| match told {
            Told::Started { .. } => (0, None),
            Told::Shown { answered, .. } => (1, Some(*answered)),
            Told::Cancelled { .. } | Told::Seen { .. } => (2, None),
        });
        for told in told {
            self.note_one(told);
        }
    }

    fn note_one(&mut self, told: Told) {
        let place = format!("seed {}, kill {}", self.seed, self.kills);
        match told {
            Told::Started { task, owner, input } => {
                let known = Known { owner, input, ..Known::default() };
                let twice = self.tasks.insert(task.id, (task, known));
                assert!(twice.is_none(), "{place}: an id was given twice: {twice:?}");
            }
            Told::Cancelled { task, answer, reason } => {
                let known = self.known(&task);
                if answer["status"] != "cancelling" {
                    known.over = Some(answer.clone());
                }
                if answer["status"] == "not_running" {
                    return;
                }
                let stored = answer["reason"].as_str().expect("text").to_owned();
                let first = known.reason.get_or_insert_with(|| stored.clone());
                assert_eq!(*first, stored, "{place}: two reasons of {task:?}, the last was {reason}");
            }
            Told::Shown { task, row, asked, answered } => {
                self.known(&task).look(&place, &row, asked, answered);
            }
            Told::Seen { task, frames } => self.known(&task).watch(&place, &frames),
        }
    }

    fn known(&mut self, task: &Task) -> &mut Known {
        &mut self.tasks.get_mut(&task.id).expect("it was started").1
    }

    /// Looks at every task in a new life, right after it is ready.
    pub(super) async fn check(&mut self, server: &Server) {
        let root = server.client("root");
        assert_eq!(root.get("/readyz").await.status, 200);
        let place = format!("seed {}, after kill {}", self.seed, self.kills);
        let dead = self.node.take();
        for (task, known) in self.tasks.values_mut().filter(|(_, known)| known.last.is_none()) {
            let row = root.show(task).await;
            known.hold(&place, &row, dead.as_deref());
            if let Some(node) = row["node"].as_str().filter(|_| row["status"] == "running") {
                self.node = Some(node.to_owned());
            }
            known.watch(&place, &events(&root, task, &row).await);
        }
        // Those that had ended are looked at again, a few of them at each life and all of them in turn.
        let lives = usize::try_from(self.kills).expect("few");
        let stride = (self.tasks.len() / LOOKS).max(8);
        let ended = self.tasks.values_mut().filter(|(_, known)| known.last.is_some());
        for (_, (task, known)) in ended.enumerate().filter(|(at, _)| at % stride == lives % stride) {
            let row = root.show(task).await;
            known.look(&place, &row, Instant::now(), Instant::now());
            known.watch(&place, &events(&root, task, &row).await);
        }
    }
}

/// All events so far: to the terminal one where the task has ended, else a few.
async fn events(root: &Client, task: &Task, row: &Value) -> Vec<Frame> {
    let mut watching = root.watch(task).await;
    if !row["completed_at"].is_null() {
        return watching.rest().await;
    }
    if row["status"] == "running" { watching.until("running").await } else { Vec::new() }
}

impl Known {
    /// A row. One that was asked for before another look had its answer may be older than that one's.
    fn look(&mut self, place: &str, row: &Value, asked: Instant, answered: Instant) {
        let is_terminal = !row["completed_at"].is_null();
        match &self.last {
            Some((last, seen)) if is_terminal || asked > *seen => assert_eq!(row, last, "{place}: I-1"),
            None if is_terminal => self.last = Some((row.clone(), answered)),
            Some(_) | None => {}
        }
    }

    /// A row of a task that ran, or might have, in a life that was killed.
    fn hold(&mut self, place: &str, row: &Value, dead: Option<&str>) {
        assert_eq!((&row["owner"], &row["input"]), (&Value::from(&*self.owner), &self.input), "{place}: I-2");
        let status = row["status"].as_str().expect("text");
        if let Some(reason) = &self.reason {
            let end = (status, row["cancellation_reason"].as_str());
            assert_eq!(end, ("cancelled", Some(&**reason)), "{place}: I-5: {row}");
        }
        if let Some(told) = &self.over {
            assert!(!row["completed_at"].is_null(), "{place}: I-6: {told} was told of {row}");
            for member in ["cancelled_at", "stopped_by"].iter().filter(|member| told[**member].is_string()) {
                assert_eq!(told[*member], row[*member], "{place}: I-6: {told} was told of {row}");
            }
        }
        let again = row["model"] == "RestartTask" && row["attempt"].as_i64() > Some(1);
        if status == "running" {
            // It may have waited until now; of those that ran, only a restart model runs, by its next attempt.
            let ran = self.events.values().any(|(kind, _)| kind == "running");
            assert!(again || !ran, "{place}: I-13: {row}");
            assert!(dead.is_none() || row["node"].as_str() != dead, "{place}: I-13: {row}");
        }
        if status == "failed" && row["model"] != "FailTask" {
            assert_eq!(row["error_type"], "lost", "{place}: {row}");
        }
        self.look(place, row, Instant::now(), Instant::now());
    }

    /// Events of a stream that began at the first one.
    fn watch(&mut self, place: &str, frames: &[Frame]) {
        for (frame, number) in frames.iter().zip(1..) {
            assert_eq!(frame.id, Some(number), "{place}: I-22: {frames:?}");
            let event = (frame.event.clone(), frame.data.clone());
            let known = self.events.entry(number).or_insert_with(|| event.clone());
            assert_eq!(*known, event, "{place}: I-22: an event that was seen has changed");
        }
    }
}
