//! One bad day over HTTP, whatever its cause: nothing is acknowledged, nothing is lost, and it heals by itself.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::server::{Answer, Client, Server, Task, Watching, eventually};

use super::SOON;

/// How long the trouble goes on, at least: starts and cancels are refused all the while.
const TROUBLE: Duration = Duration::from_millis(1_200);

/// Steps of the task that ends in the trouble.
const STEPS: u64 = 40;

/// A server with tasks that live through the trouble.
pub(super) struct Day {
    alice: Client,
    /// Ends by itself in the trouble.
    ends: Task,
    watching: Watching,
    /// Runs on.
    stays: Task,
}

impl Day {
    pub(super) async fn begin(server: &Server) -> Self {
        let alice = server.client("alice");
        let stays = alice.start("StuckTask", json!({})).await;
        let ends = alice.start("LongTask", json!({"steps": STEPS, "step_ms": 25})).await;
        let mut watching = alice.watch(&ends).await;
        watching.until("start").await;
        Self { alice, ends, watching, stays }
    }

    /// Until a start is refused, and then for a while; gives the longest time that an answer took.
    pub(super) async fn refuses(&self, server: &Server) -> Duration {
        let (alice, mut longest) = (&self.alice, Duration::ZERO);
        eventually("a start is refused", async || {
            let answer = timed(&mut longest, alice.post("/tasks/tests/StuckTask")).await;
            (answer.status != 202).then(|| refused(&answer))
        })
        .await;
        let until = Instant::now() + TROUBLE;
        while Instant::now() < until {
            refused(&timed(&mut longest, alice.post("/tasks/tests/StuckTask")).await);
            for path in [self.stays.cancel(), self.stays.signal("go")] {
                let answer = timed(&mut longest, alice.post(&path)).await;
                answer.problem(503, "database-unavailable");
            }
            let ready = server.stranger().get("/readyz").await;
            assert_eq!(ready.status, 503);
            assert!(ready.text.contains("database"), "{}", ready.text);
            assert_eq!(server.stranger().get("/livez").await.status, 200);
            assert_eq!(self.alice.show(&self.stays).await["status"], "running", "reads go on");
        }
        assert_eq!(self.alice.show(&self.ends).await["status"], "running", "its end is not durable");
        assert!(longest < SOON, "{longest:?}");
        longest
    }

    /// The cause is gone: everything that happened is there, once, and work is taken again.
    pub(super) async fn heals(mut self, server: &Server) {
        let alice = &self.alice;
        eventually("it is ready again", async || {
            (server.stranger().get("/readyz").await.status == 200).then_some(())
        })
        .await;
        assert_eq!(alice.ended(&self.ends).await["status"], "completed");
        let steps: Vec<_> = self.watching.rest().await;
        let progress: Vec<_> =
            steps.iter().filter(|f| f.event == "progress").map(|f| f.json()["step"].clone()).collect();
        assert_eq!(progress, (0..STEPS).map(|step| json!(step)).collect::<Vec<_>>());
        assert_eq!(steps.last().map(|frame| &*frame.event), Some("completed"));
        let late: Vec<_> = alice.watch(&self.ends).await.rest().await;
        let ids: Vec<_> = late.iter().filter_map(|frame| frame.id).collect();
        assert_eq!(ids, (1..=i64::try_from(STEPS).expect("few") + 4).collect::<Vec<_>>());
        // The refused cancels had no effect.
        assert_eq!(alice.show(&self.stays).await["cancel_requested_at"], json!(null));
        assert_eq!(alice.cancel(&self.stays, &json!({})).await.with(200)["stopped_by"], "dropped");
        let mut events = alice.watch(&self.stays).await;
        let asked = events.rest().await.iter().filter(|f| f.event == "cancellation_requested").count();
        assert_eq!(asked, 1);
        let next = alice.start("ExampleTask", json!({})).await;
        assert_eq!(alice.ended(&next).await["status"], "completed");
    }
}

fn refused(answer: &Answer) {
    let problem = answer.json();
    let name = problem["type"].as_str().expect("text");
    let known = ["database-unavailable", "outcome-unknown"].iter().any(|known| name.ends_with(known));
    assert!(answer.status == 503 && known, "{answer:?}");
    assert!(!answer.header("retry-after").is_empty());
}

async fn timed(longest: &mut Duration, answer: impl Future<Output = Answer>) -> Answer {
    let began = Instant::now();
    let answer = answer.await;
    *longest = began.elapsed().max(*longest);
    answer
}
