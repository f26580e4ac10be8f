//! Owns `HashFileTask` and the folder it may read.
//!
//! - A path is taken relative to the folder (or whole), and resolved before it is opened: one that leads out of it, by `..`, by
//!   a root or through a link, is refused, whether or not there is anything behind it.
//! - Only a regular file is read: no pipe can hold the body.

use std::fmt::Write;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::runtime::{BlockingTask, TaskContext};
use crate::task::TaskError;

use super::APP;

/// How much is read between two looks at the token.
const CHUNK_BYTES: usize = 1024 * 1024;

/// How much is read between two events.
const PROGRESS_BYTES: u64 = 8 * 1024 * 1024;

/// The folder that may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataDir(PathBuf);

/// Why a path is not read.
#[derive(Debug, thiserror::Error)]
enum PathError {
    #[error("the path leads out of the data folder")]
    Outside,
    #[error("there is no such file in the data folder")]
    Missing,
    #[error("it is no regular file")]
    NoFile,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
}

impl PathError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Outside => "OutsideDataDir",
            Self::Missing => "FileNotFound",
            Self::NoFile => "NoRegularFile",
            Self::Unreadable(_) => "FileUnreadable",
        }
    }
}

impl DataDir {
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// Where it is not, cannot be looked at, or is no folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let folder = fs::canonicalize(folder)?;
        fs::read_dir(&folder)?;
        Ok(Self(folder))
    }

    /// Opens a regular file inside the folder.
    fn file(&self, path: &str) -> Result<File, PathError> {
        let path = Path::new(path);
        let below = path.strip_prefix(&self.0).unwrap_or(path);
        let plain = below.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let path = match fs::canonicalize(self.0.join(path)) {
            Ok(path) if path.starts_with(&self.0) => path,
            // What is outside is not told apart from what is nowhere.
            Ok(_) => return Err(PathError::Outside),
            Err(_) if !plain => return Err(PathError::Outside),
            Err(error) => return Err(PathError::from_io(error)),
        };
        // The path has no link left; one that is put there now is not followed. A pipe does not make it wait.
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
        let file =
            OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(PathError::from_io)?;
        if file.metadata().map_err(PathError::Unreadable)?.is_file() {
            Ok(file)
        } else {
            Err(PathError::NoFile)
        }
    }
}

impl PathError {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing,
            _ => Self::Unreadable(error),
        }
    }
}

/// The SHA-256 of a file in the data folder. It blocks: it looks at its token after each megabyte.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashFileTask {
    /// The file: relative to the data folder, or a whole path inside it.
    pub path: String,
}

/// What was hashed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Hashed {
    /// The digest as hexadecimal digits.
    pub sha256: String,
    /// How many bytes were read.
    pub bytes: u64,
}

impl BlockingTask for HashFileTask {
    const APP: &'static str = APP;
    const MODEL: &'static str = "HashFileTask";
    type Output = Hashed;

    fn process(&self, ctx: &TaskContext) -> Result<Hashed, TaskError> {
        let folder = ctx
            .state::<DataDir>()
            .ok_or_else(|| TaskError::new("NoDataDir", "the server was started without --data-dir"))?;
        let file =
            folder.file(&self.path).map_err(|error| TaskError::new(error.error_type(), error.to_string()))?;
        hash(file, |bytes, tell| {
            ctx.check_cancellation()?;
            if tell {
                ctx.send_event_blocking("progress", &json!({ "bytes": bytes }))?;
            }
            Ok(())
        })
    }
}

/// Hashes to the end; `pass` is called before each chunk, and told when an event is due: every 8 MiB and at the end.
fn hash(
    mut file: impl Read,
    mut pass: impl FnMut(u64, bool) -> Result<(), TaskError>,
) -> Result<Hashed, TaskError> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let (mut bytes, mut told) = (0, 0);
    loop {
        let due = bytes - told >= PROGRESS_BYTES;
        if due {
            told = bytes;
        }
        pass(bytes, due)?;
        let read = match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let Some(fresh) = chunk.get(..read).filter(|fresh| !fresh.is_empty()) else { break };
        digest.update(fresh);
        bytes += u64::try_from(read).unwrap_or(u64::MAX);
    }
    if told != bytes || bytes == 0 {
        pass(bytes, true)?;
    }
    Ok(Hashed { sha256: hex(&digest.finalize()), bytes })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(result: Result<File, PathError>) -> &'static str {
        result.map_or_else(|error| error.error_type(), |_| "opened")
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join("data");
        fs::create_dir_all(inner.join("sub")).unwrap();
        fs::write(outer.path().join("secret"), "x").unwrap();
        fs::write(inner.join("a"), "x").unwrap();
        std::os::unix::fs::symlink(outer.path(), inner.join("way_out")).unwrap();
        std::os::unix::fs::symlink("../secret", inner.join("link_out")).unwrap();
        std::os::unix::fs::symlink("a", inner.join("link_in")).unwrap();
        let folder = DataDir::open(&inner).unwrap();
        let absolute = outer.path().join("secret").display().to_string();
        for path in [
            "../secret",
            "sub/../../secret",
            absolute.as_str(),
            "way_out/secret",
            "link_out",
            "../nothing",
            "/nothing",
        ] {
            assert_eq!(word(folder.file(path)), "OutsideDataDir", "{path}");
        }
        for path in ["nothing", "a/b"] {
            assert_eq!(word(folder.file(path)), "FileNotFound", "{path}");
        }
        for path in ["", ".", "sub"] {
            assert_eq!(word(folder.file(path)), "NoRegularFile", "{path}");
        }
        assert_eq!(word(folder.file("a\0")), "FileUnreadable");
        let whole = inner.canonicalize().unwrap().join("a").display().to_string();
        for path in ["a", "./a", "sub/../a", "link_in", whole.as_str()] {
            assert_eq!(word(folder.file(path)), "opened", "{path}");
        }
    }

    #[test]
    fn a_data_folder_must_be_a_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(DataDir::open(file.path()).is_err());
        assert!(DataDir::open(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn the_digest_is_told_with_progress_and_the_token_is_looked_at() {
        let mut told = Vec::new();
        let mut looks = 0;
        let bytes = vec![b'a'; 17 * 1024 * 1024];
        let hashed = hash(bytes.as_slice(), |bytes, tell| {
            looks += 1;
            if tell {
                told.push(bytes / 1024 / 1024);
            }
            Ok(())
        });
        assert_eq!(hashed.unwrap().bytes, 17 * 1024 * 1024);
        assert_eq!(told, [8, 16, 17]);
        assert!(looks > 17);
        let empty = hash(io::empty(), |_, _| Ok(())).unwrap();
        assert_eq!(empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert!(hash(bytes.as_slice(), |_, _| Err(TaskError::new("x", "stop"))).is_err());
    }
}
