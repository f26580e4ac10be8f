//! Owns the clients of the kill test: each goes on until its connection breaks, and keeps every answer that it got.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::Dice;
use super::ledger::Ledger;
use crate::server::{Answer, Client, Frame, Server, Task};

/// Clients at once.
const CLIENTS: u64 = 4;
/// What they start, and how often in ten.
const MODELS: [&str; 10] = [
    "StuckTask",
    "StuckTask",
    "ExampleTask",
    "ExampleTask",
    "LongTask",
    "LongTask",
    "RestartTask",
    "CleanupTask",
    "FailTask",
    "ContinueTask",
];

/// An answer that a client got.
#[derive(Debug)]
pub(super) enum Told {
    /// A 202 of a start.
    Started { task: Task, owner: String, input: Value },
    /// Any answer to a cancel but an error.
    Cancelled { task: Task, answer: Value, reason: String },
    /// A task as it was shown, to somebody who asked then and got it then.
    Shown { task: Task, row: Value, asked: Instant, answered: Instant },
    /// Events of a stream, in their order.
    Seen { task: Task, frames: Vec<Frame> },
}

/// Sends clients to a server.
pub(super) fn start(server: &Server, ledger: &Ledger, dice: &mut Dice) -> Vec<JoinHandle<Vec<Told>>> {
    let client = |number: u64| {
        let name = if number.is_multiple_of(2) { "alice" } else { "root" };
        let one = One {
            client: server.client(name),
            name,
            dice: Dice(dice.roll()),
            tasks: ledger.unfinished(name),
            told: Vec::new(),
        };
        tokio::spawn(one.run())
    };
    (0..CLIENTS).map(client).collect()
}

/// What they were told until the end.
pub(super) async fn collect(clients: Vec<JoinHandle<Vec<Told>>>) -> Vec<Told> {
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("a client does not fail"));
    }
    told
}

struct One {
    client: Client,
    name: &'static str,
    dice: Dice,
    tasks: Vec<Task>,
    told: Vec<Told>,
}

impl One {
    async fn run(mut self) -> Vec<Told> {
        while let Ok(()) = self.act().await {}
        self.told
    }

    /// One thing; an error where the server is gone.
    async fn act(&mut self) -> reqwest::Result<()> {
        let count = u64::try_from(self.tasks.len()).expect("few");
        if count == 0 || self.dice.below(10) < 4 {
            return self.start().await;
        }
        let task = self.tasks[usize::try_from(self.dice.below(count)).expect("small")].clone();
        match self.dice.below(10) {
            0..4 => self.cancel(task).await,
            4..6 => self.show(task).await,
            6..8 => self.watch(task).await,
            _ => self.signal(&task).await,
        }
    }

    async fn start(&mut self) -> reqwest::Result<()> {
        let model = MODELS[usize::try_from(self.dice.below(10)).expect("small")];
        let input = match model {
            "LongTask" => json!({"steps": self.dice.below(50), "step_ms": 5}),
            "ExampleTask" | "FailTask" => json!({"message": format!("m{}", self.dice.roll())}),
            "CleanupTask" => json!({"cleanup_ms": self.dice.below(300)}),
            "ContinueTask" => json!({"wait_seconds": 60}),
            _ => json!({}),
        };
        let request = self.client.call(Method::POST, &format!("/tasks/tests/{model}"));
        let row = Answer::try_of(request.json(&json!({ "input": input }))).await?.with(202);
        let task = Task::new(model, row["id"].as_i64().expect("a number"));
        self.tasks.push(task.clone());
        self.told.push(Told::Started { task, owner: self.name.to_owned(), input });
        Ok(())
    }

    async fn cancel(&mut self, task: Task) -> reqwest::Result<()> {
        let reason = format!("r{}", self.dice.roll());
        let wait = self.dice.below(2);
        let request = self.client.call(Method::POST, &task.cancel()).header("prefer", format!("wait={wait}"));
        let answer = Answer::try_of(request.json(&json!({ "reason": reason }))).await?;
        assert!([200, 202, 404].contains(&answer.status), "{answer:?}");
        self.told.push(Told::Cancelled { task, answer: answer.json(), reason });
        Ok(())
    }

    async fn show(&mut self, task: Task) -> reqwest::Result<()> {
        let asked = Instant::now();
        let row = Answer::try_of(self.client.call(Method::GET, &task.path())).await?.with(200);
        self.told.push(Told::Shown { task, row, asked, answered: Instant::now() });
        Ok(())
    }

    async fn signal(&mut self, task: &Task) -> reqwest::Result<()> {
        let answer = Answer::try_of(self.client.call(Method::POST, &task.signal("continue"))).await?;
        assert!([202, 404].contains(&answer.status), "{answer:?}");
        Ok(())
    }

    /// A few events, or all to the end; what came before the connection broke counts.
    async fn watch(&mut self, task: Task) -> reqwest::Result<()> {
        let request = self.client.call(Method::GET, &task.stream()).header("accept", "text/event-stream");
        let response = request.send().await?;
        assert_eq!(response.status(), 200);
        let mut watching = crate::server::Watching::of(response);
        let mut frames = Vec::new();
        for _ in 0..=self.dice.below(6) {
            match watching.frame().await {
                Some(frame) => frames.push(frame),
                None => break,
            }
        }
        self.told.push(Told::Seen { task, frames });
        Ok(())
    }
}
