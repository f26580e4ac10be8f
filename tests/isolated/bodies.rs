//! Bodies that run in processes of their own, one task type for all: what each does is its input.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quell::{
    Cleaned, CommandTask, Field, FieldKind, ModelSettings, Registry, RegistryError, Task, TaskContext,
    TaskError,
};
use serde_json::{Value, json};

/// The task type, once for each kind of settings.
macro_rules! isolated {
    ($name:ident, $settings:expr) => {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            act: String,
            #[serde(default)]
            value: Value,
        }

        impl Task for $name {
            const APP: &'static str = "isolated";
            const MODEL: &'static str = stringify!($name);
            type Output = Value;

            fn settings() -> ModelSettings {
                $settings
            }

            async fn process(&self, ctx: TaskContext) -> Result<Value, TaskError> {
                act(&self.act, &self.value, ctx).await
            }

            async fn on_cancel(&self, ctx: TaskContext) -> Result<Cleaned, TaskError> {
                ctx.send_event("cleaned_up", &json!({ "pid": std::process::id() })).await?;
                Ok(Cleaned::Done)
            }
        }
    };
}

isolated!(Plain, ModelSettings::new());
isolated!(Patient, ModelSettings::new().grace(Duration::from_millis(500)));
isolated!(Small, ModelSettings::new().memory_limit(1 << 30));
isolated!(Brief, ModelSettings::new().cpu_limit(Duration::from_secs(1)));
isolated!(Few, ModelSettings::new().open_files_limit(40));

pub(crate) fn registry() -> Result<Registry, RegistryError> {
    Registry::new()
        .isolated::<Plain>()?
        .isolated::<Patient>()?
        .isolated::<Small>()?
        .isolated::<Brief>()?
        .isolated::<Few>()?
        .command(say())
}

/// A command: says a word and sleeps; its cleanup makes a file.
fn say() -> CommandTask {
    let text = || Field::new(FieldKind::text());
    CommandTask::new("say", "sh")
        .arguments(["-c", "echo \"$1\"; exec sleep \"$2\"", "say", "{input.word}", "{input.sleep}"])
        .field("word", text())
        .field("sleep", Field::new(FieldKind::Integer { min: 0, max: 600 }).default_value(0))
        .field("cleaned", text())
        .cleanup("touch", ["--", "{input.cleaned}"])
        .may_start(["nobody"])
}

async fn act(act: &str, value: &Value, ctx: TaskContext) -> Result<Value, TaskError> {
    match act {
        "tell" => tell(value, &ctx).await,
        "flood" => flood(value, &ctx).await,
        "fail" => Err(TaskError::new("Mine", "as asked")),
        "panic" => panic!("as asked"),
        "hear" => {
            ctx.send_event("hears", &Value::Null).await?;
            Ok(json!(ctx.cancelled().await.to_string()))
        }
        "check" => {
            ctx.send_event("hears", &Value::Null).await?;
            loop {
                ctx.check_cancellation()?;
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
        "take" => Ok(json!([signal(&ctx).await?, signal(&ctx).await?])),
        "ask" => {
            ctx.request_cancellation("by itself").await?;
            Err(ctx.cancelled().await.into())
        }
        "deaf" => deaf(&ctx).await,
        "eat" => Ok(json!(eat())),
        "burn" => {
            ctx.send_event("burns", &Value::Null).await?;
            loop {
                std::hint::spin_loop();
            }
        }
        "open" => open(),
        "exit" => std::process::exit(i32::try_from(value.as_i64().unwrap_or_default()).unwrap_or_default()),
        "abort" => std::process::abort(),
        "print" => {
            println!("printed by a body");
            Ok(Value::Null)
        }
        _ => {
            write_raw(act);
            std::future::pending().await
        }
    }
}

/// What the process is like.
async fn tell(value: &Value, ctx: &TaskContext) -> Result<Value, TaskError> {
    ctx.heartbeat();
    ctx.send_event("told", value).await?;
    let links = fs::read_dir("/proc/self/fd")?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let files: Vec<String> = links.map(|link| link.display().to_string()).collect();
    let group = rustix::process::getpgrp().as_raw_nonzero().get();
    Ok(json!({
        "pid": std::process::id(),
        "group": group,
        "key": ctx.key().to_string(),
        "owner": ctx.owner(),
        "attempt": ctx.attempt(),
        "value": value,
        "files": files,
        "arguments": std::env::args().collect::<Vec<_>>(),
    }))
}

async fn flood(value: &Value, ctx: &TaskContext) -> Result<Value, TaskError> {
    let count = value.as_u64().unwrap_or_default();
    for number in 0..count {
        ctx.send_event("flood", &json!({ "number": number, "pad": "x".repeat(1000) })).await?;
    }
    Ok(json!(count))
}

async fn signal(ctx: &TaskContext) -> Result<String, TaskError> {
    Ok(ctx.signal("go").await?.data.as_str().to_owned())
}

/// Starts a process that ignores SIGTERM, and never looks whether it should stop.
async fn deaf(ctx: &TaskContext) -> Result<Value, TaskError> {
    let grandchild = Command::new("/bin/sh")
        .args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
        .stdin(Stdio::null())
        .spawn()?;
    ctx.send_event("deaf", &json!({ "pid": std::process::id(), "grandchild": grandchild.id() })).await?;
    loop {
        std::hint::spin_loop();
    }
}

fn eat() -> usize {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 64 << 20]);
    }
}

fn open() -> Result<Value, TaskError> {
    let mut files = Vec::new();
    loop {
        files.push(fs::File::open("/dev/null")?);
    }
}

/// Writes what no quell writes into the pipe to the server.
fn write_raw(what: &str) {
    let mut pipe = fs::OpenOptions::new().write(true).open(pipe()).unwrap();
    match what {
        "garbage" => pipe.write_all(b"this is no message at all").unwrap(),
        "unknown" => pipe.write_all(b"\x01\0\0\0?").unwrap(),
        "reserved" => pipe.write_all(b"\x0d\0\0\0e\x09completed{}").unwrap(),
        "two lines" => pipe.write_all(b"\x09\0\0\0e\x03two{\n}\n").unwrap(),
        "half" => {
            pipe.write_all(b"\xff\0\0\0e\x03two{").unwrap();
            std::process::exit(0);
        }
        "endless" => {
            let until = Instant::now() + Duration::from_secs(20);
            // Fails when the server has had enough; the process is killed then.
            while Instant::now() < until && pipe.write_all(&vec![b'x'; 65_536]).is_ok() {}
        }
        other => panic!("there is no act `{other}`"),
    }
}

/// The one pipe that can be written, past the standard ones.
fn pipe() -> PathBuf {
    let is_ours = |number: &u32| {
        let link = fs::read_link(format!("/proc/self/fd/{number}"));
        let flags = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags =
            flags.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default().trim().to_owned();
        link.is_ok_and(|link| link.to_string_lossy().starts_with("pipe:")) && flags.ends_with('1')
    };
    let number = (3..64).find(is_ours).expect("the pipe to the server");
    PathBuf::from(format!("/proc/self/fd/{number}"))
}
