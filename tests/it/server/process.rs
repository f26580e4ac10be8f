//! Owns the real program as a child of the test: its folder, its start on a free port, what it says, its signals and
//! its end. It is killed by its own id when it is dropped.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::client::Client;
use super::wait::eventually;

/// Who the servers of the tests know; each one's token is [`token`].
const PEOPLE: [(&str, &str); 5] = [
    ("alice", ""),
    ("bob", ""),
    ("viewer", ":view_any_task"),
    ("canceller", ":cancel_any_task"),
    ("root", ":view_any_task+cancel_any_task"),
];

/// The token of one of [`PEOPLE`].
pub(crate) fn token(name: &str) -> String {
    format!("{name}-token-of-16-or-more")
}

/// All tokens, as the server takes them.
pub(crate) fn tokens() -> String {
    PEOPLE.map(|(name, permissions)| format!("{name}={}{permissions}", token(name))).join(";")
}

/// The folder of a server and its database: it outlives the processes in it.
#[derive(Debug, Clone)]
pub(crate) struct Home(Arc<TempDir>);

impl Home {
    pub(crate) fn new() -> Self {
        Self(Arc::new(tempfile::tempdir().expect("a folder")))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path().join("quell.db")
    }

    /// The program, about to serve the demo here, with the tokens of [`PEOPLE`].
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quell"));
        command
            .args(["serve", "--bind", "127.0.0.1:0", "--demo"])
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("QUELL_API_TOKENS", tokens())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts a server and waits until it listens.
    pub(crate) async fn server(&self, arguments: &[&str]) -> Server {
        Server::of(self, self.command(arguments)).await
    }

    /// Starts the program, which must refuse; gives what it said.
    pub(crate) async fn refusal(&self, arguments: &[&str]) -> Ended {
        refusal_of(self.command(arguments)).await
    }
}

/// The same for a command that was changed.
pub(crate) async fn refusal_of(command: Command) -> Ended {
    Running::spawn(command).ended().await
}

/// What a process that has ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The lines on standard error that are no log lines: those for the person who started it.
    fn told(&self) -> Vec<&str> {
        self.err.lines().filter(|line| !is_log(line)).collect()
    }

    /// The one line that says why it refused; with code 1 and nothing on standard output.
    pub(crate) fn one_line(&self) -> &str {
        assert_eq!(self.code, Some(1), "{}", self.err);
        assert!(self.out.is_empty(), "{}", self.out);
        match self.told().as_slice() {
            [line] if line.starts_with("quell: ") => line,
            other => panic!("not one clear line: {other:?}"),
        }
    }
}

/// A line of the log begins with its time.
fn is_log(line: &str) -> bool {
    line.len() > 20 && line.starts_with("20") && line.as_bytes()[10] == b'T'
}

/// A process and what it says.
struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program runs");
        let (out, err) = (Arc::default(), Arc::default());
        let readers = vec![
            keep(child.stdout.take().expect("it is piped"), &out),
            keep(child.stderr.take().expect("it is piped"), &err),
        ];
        Self { child, out, err, readers }
    }

    async fn ended(mut self) -> Ended {
        let status =
            eventually("the program ends", async || self.child.try_wait().expect("it is ours")).await;
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("it reads to the end");
        }
        Ended { code: status.code(), out: text(&self.out), err: text(&self.err) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(kept: &Mutex<String>) -> String {
    kept.lock().expect("no reader panics").clone()
}

fn keep(pipe: impl Read + Send + 'static, kept: &Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    let kept = Arc::clone(kept);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            kept.lock().expect("no reader panics").push_str(&line);
            line.clear();
        }
    })
}

/// A server that listens.
pub(crate) struct Server {
    running: Running,
    home: Home,
    base: String,
}

impl Server {
    /// With a folder of its own.
    pub(crate) async fn start() -> Self {
        Home::new().server(&[]).await
    }

    pub(crate) async fn with(arguments: &[&str]) -> Self {
        Home::new().server(arguments).await
    }

    /// With a command that was changed.
    pub(crate) async fn of(home: &Home, command: Command) -> Self {
        let mut running = Running::spawn(command);
        let base = eventually("the server listens", async || {
            if let Some(status) = running.child.try_wait().expect("it is ours") {
                panic!("the server ended with {status}: {}", text(&running.err));
            }
            let out = text(&running.out);
            out.strip_prefix("listening on ")?.strip_suffix('\n').map(str::to_owned)
        })
        .await;
        Self { running, home: home.clone(), base }
    }

    pub(crate) fn home(&self) -> Home {
        self.home.clone()
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.base.strip_prefix("http://").expect("it is http")
    }

    /// One of [`PEOPLE`].
    pub(crate) fn client(&self, name: &str) -> Client {
        Client::new(&self.base, &token(name))
    }

    /// Somebody without credentials.
    pub(crate) fn stranger(&self) -> Client {
        Client::stranger(&self.base)
    }

    /// What the kernel tells of the process.
    pub(crate) fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.running.child.id()))
    }

    /// What it said on standard error so far.
    pub(crate) fn err(&self) -> String {
        text(&self.running.err)
    }

    /// The process, as the system calls name it.
    pub(crate) fn pid(&self) -> Pid {
        let id = i32::try_from(self.running.child.id()).expect("a process id");
        Pid::from_raw(id).expect("a process id")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it lives");
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// `kill -9`, and until it is gone.
    pub(crate) async fn kill(self) -> Home {
        self.signal(Signal::KILL);
        let home = self.home();
        self.running.ended().await;
        home
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Ended {
        self.running.ended().await
    }

    /// SIGTERM and a clean end.
    pub(crate) async fn stop(self) -> Home {
        self.terminate();
        let home = self.home();
        let ended = self.ended().await;
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        home
    }
}
