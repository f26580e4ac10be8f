//! Holds that nobody has to read the log: with standard error closed the server serves, and ends when it is told to.

use std::io::{BufRead, BufReader};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::server::{Client, Home, eventually, token};

/// A child that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_server_whose_log_nobody_reads_serves_and_ends_when_told() {
    let home = Home::new();
    let child = home.command(&["--log-format", "json"]).spawn().expect("it runs");
    let mut child = Ended(child);
    let child = &mut child.0;
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut ready).expect("text");
    let base = ready.strip_prefix("listening on ").expect("it listens").trim_end().to_owned();
    // From here on each line of the log meets a closed pipe.
    drop(child.stderr.take());

    let alice = Client::new(&base, &token("alice"));
    for _ in 0..20 {
        let task = alice.start("StuckTask", json!({})).await;
        assert_eq!(alice.post(&task.cancel()).await.with(200)["stopped_by"], "dropped");
    }
    let id = i32::try_from(child.id()).expect("a process id");
    kill_process(Pid::from_raw(id).expect("a process id"), Signal::TERM).expect("it lives");
    let status = eventually("SIGTERM ends it", async || child.try_wait().expect("it is ours")).await;
    assert_eq!(status.code(), Some(0));
}
