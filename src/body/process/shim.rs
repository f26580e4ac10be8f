//! The first thing a child does: arm itself, then become what it was started for.
//!
//! The order comes as arguments and holds numbers only (and, for a command, the program with its arguments, which
//! any process list shows anyway); an input never does.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::process::{
    Resource, Rlimit, Signal, getpid, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use super::super::limits::ChildLimits;

/// The first argument of every child.
const MARK: &str = "--quell-child";

const OPEN_FILES: &str = "the limit of open files";

/// The only argument of a keeper.
pub(super) const KEEPER_MARK: &str = "--quell-keeper";

/// What a child is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The process that must be alive.
    pub(crate) parent: i32,
    pub(crate) limits: ChildLimits,
    /// The soft limit of open files, where the limits set none; none is the parent's.
    pub(super) open_files: Option<u64>,
    /// The program to become, with its arguments; none for a body of this executable.
    pub(crate) program: Vec<OsString>,
}

/// Why a child does not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The arguments are not those of a parent of this build.
    #[error("the arguments after {MARK} are not those of a parent")]
    Order,
    /// The parent is gone already.
    #[error("the process that started this one is gone")]
    Orphan,
    /// A system call.
    #[error("cannot set {0}: {1}")]
    System(&'static str, rustix::io::Errno),
}

/// Whether this process was started as a child, or as the keeper of children.
pub(crate) fn is_child() -> bool {
    is_marked(MARK) || is_keeper()
}

pub(super) fn is_keeper() -> bool {
    is_marked(KEEPER_MARK)
}

fn is_marked(mark: &str) -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == mark)
}

impl Order {
    /// An order of this process.
    pub(crate) fn new(limits: ChildLimits, program: Vec<OsString>) -> Self {
        Self { parent: getpid().as_raw_nonzero().get(), limits, open_files: None, program }
    }

    /// The arguments that carry it.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
        let cpu = self.limits.cpu.map(whole_seconds);
        let words = [
            MARK.to_owned(),
            self.parent.to_string(),
            number(self.limits.memory),
            number(cpu),
            number(self.limits.files),
            number(self.open_files),
        ];
        words.into_iter().map(OsString::from).chain(self.program.iter().cloned()).collect()
    }

    /// Reads the arguments of this process.
    pub(crate) fn of_this_process() -> Result<Self, Failed> {
        Self::from_args(std::env::args_os().skip(1))
    }

    fn from_args(mut args: impl Iterator<Item = OsString>) -> Result<Self, Failed> {
        let mut word = || args.next().and_then(|word| word.into_string().ok()).ok_or(Failed::Order);
        let limit = |word: String| match word.as_str() {
            "-" => Ok(None),
            number => number.parse().map(Some).map_err(|_| Failed::Order),
        };
        if word()? != MARK {
            return Err(Failed::Order);
        }
        let parent = word()?.parse().map_err(|_| Failed::Order)?;
        let limits = ChildLimits {
            memory: limit(word()?)?,
            cpu: limit(word()?)?.map(Duration::from_secs),
            files: limit(word()?)?,
        };
        let open_files = limit(word()?)?;
        Ok(Self { parent, limits, open_files, program: args.collect() })
    }
}

/// The system counts whole seconds, at least one.
fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

/// Asks for the death signal, then looks whether the parent died before that, then sets the limits.
pub(crate) fn arm(order: &Order) -> Result<(), Failed> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| Failed::System("the death signal", error))?;
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != order.parent) {
        return Err(Failed::Orphan);
    }
    let limits = order.limits;
    set(Resource::As, "the memory limit", limits.memory, 0)?;
    // The soft limit sends SIGXCPU, which tells what it was; the hard one, a second later, SIGKILL.
    set(Resource::Cpu, "the limit of processor time", limits.cpu.map(whole_seconds), 1)?;
    set(Resource::Nofile, OPEN_FILES, limits.files, 0)?;
    if let (None, Some(soft)) = (limits.files, order.open_files) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let rlimit = Rlimit { current: Some(maximum.map_or(soft, |most| most.min(soft))), maximum };
        setrlimit(Resource::Nofile, rlimit).map_err(|error| Failed::System(OPEN_FILES, error))?;
    }
    if !limits.is_empty() {
        // A limit that is met would otherwise write a core as large as what was limited.
        set(Resource::Core, "the core limit", Some(0), 0)?;
    }
    Ok(())
}

fn set(resource: Resource, what: &'static str, limit: Option<u64>, more: u64) -> Result<(), Failed> {
    let Some(limit) = limit else { return Ok(()) };
    let rlimit = Rlimit { current: Some(limit), maximum: Some(limit.saturating_add(more)) };
    setrlimit(resource, rlimit).map_err(|error| Failed::System(what, error))
}

/// Becomes the ordered program; comes back only where that cannot be.
pub(crate) fn become_program(program: &[OsString]) -> io::Error {
    let Some((program, args)) = program.split_first() else {
        return io::Error::from(io::ErrorKind::InvalidInput);
    };
    Command::new(program).args(args).exec()
}

/// Takes standard input and output away for the conversation with the parent: what the body reads is empty, what it
/// prints goes to standard error, and no process that it starts holds the pipes.
pub(crate) fn take_pipes() -> io::Result<(File, File)> {
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let nothing: OwnedFd = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((File::from(input), File::from(output)))
}

/// A line for the parent's log, which standard error of a child is.
pub(crate) fn tell_parent(line: &str) {
    // Nobody reads it any more: then nobody can be told either.
    let _ = rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_comes_through_its_arguments() {
        let limits =
            ChildLimits { memory: Some(1 << 30), cpu: Some(Duration::from_millis(1_500)), files: None };
        let order = Order::new(limits, vec!["/bin/tar".into(), "--create file".into(), "".into()]);
        let order = Order { open_files: Some(1_024), ..order };
        let read = Order::from_args(order.to_args().into_iter()).unwrap();
        let cpu = Some(Duration::from_secs(2));
        assert_eq!(read, Order { limits: ChildLimits { cpu, ..limits }, ..order });
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for words in
            [&[][..], &["--quell-child"], &["--quell-child", "x", "-", "-", "-", "-"], &["-", "1", "-"]]
        {
            assert!(Order::from_args(words.iter().map(OsString::from)).is_err(), "{words:?}");
        }
        assert!(!is_child());
    }
}
