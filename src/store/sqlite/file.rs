//! The database as a file: its address, its place, its lock, and whether it is still the same file.
//!
//! Invariants: while a [`Claim`] lives, nobody else has one on the same file, in this process or another; the
//! file itself is opened by nobody but SQLite while SQLite has it open, because closing any other handle on it
//! would drop SQLite's own locks. A claim that is given up before it is kept leaves no lock file that it made.
//!
//! It does not look inside the file: that is `probe`.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::{OpenError, StoreError};

/// The file that a `sqlite://` address names: `sqlite://quell.db`, `sqlite:///var/lib/quell.db`.
///
/// # Errors
/// [`OpenError::Url`] for another scheme, no file, parameters (`?`), or a database in memory. It never repeats
/// what stands behind another scheme: that could hold a password.
pub fn parse_url(url: &str) -> Result<PathBuf, OpenError> {
    let Some(path) = url.strip_prefix("sqlite://") else {
        let shown =
            url.split_once("://").map_or_else(|| url.to_owned(), |(scheme, _)| format!("{scheme}://…"));
        return Err(OpenError::Url(shown));
    };
    if path.is_empty() || path.starts_with(':') || path.ends_with('/') || path.contains(['?', '\0']) {
        return Err(OpenError::Url(url.to_owned()));
    }
    Ok(PathBuf::from(path))
}

/// Finds out where a database is or would be, without opening anything: absolute, and with links resolved, so
/// that one file has one lock.
///
/// # Errors
/// [`OpenError::NoFolder`]; [`OpenError::ReadOnly`] where no mode bit allows to write; [`OpenError::Failed`] for
/// what is no file, or is one under several names.
pub(super) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let failed = |reason: &str| OpenError::Failed { path: path.to_owned(), reason: reason.to_owned() };
    let name = path.file_name().ok_or_else(|| failed("it names no file"))?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let found = fs::metadata(folder).ok().filter(Metadata::is_dir);
    let found = found.ok_or_else(|| OpenError::NoFolder(path.to_owned()))?;
    writable(path, &found, "its folder is read-only")?;

    let real = match fs::metadata(path) {
        Ok(file) if file.is_dir() => return Err(failed("it is a folder, not a file")),
        Ok(file) if !file.is_file() => return Err(failed("it is no regular file")),
        Ok(file) if file.nlink() > 1 => {
            return Err(failed("the file has several names (hard links): copy it"));
        }
        Ok(file) => {
            writable(path, &file, "it is read-only")?;
            fs::canonicalize(path)
        }
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            return Err(failed("it is a link that leads nowhere"));
        }
        Err(_) => fs::canonicalize(folder).map(|folder| folder.join(name)),
    };
    let real = real.map_err(|error| failed(&error.to_string()))?;
    if real.to_str().is_none() { Err(failed("its path is not valid UTF-8")) } else { Ok(real) }
}

/// Also for root, whom the system would let write: whoever took the bits away meant it.
fn writable(path: &Path, found: &Metadata, reason: &str) -> Result<(), OpenError> {
    if found.permissions().readonly() {
        return Err(OpenError::ReadOnly { path: path.to_owned(), reason: reason.to_owned() });
    }
    Ok(())
}

/// The path of a file beside the database: `-wal`, `.lock`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(suffix);
    PathBuf::from(text)
}

/// The sole right to a database file, held by a lock of the system on `<file>.lock`.
#[derive(Debug)]
pub(super) struct Claim {
    lock_path: PathBuf,
    /// The system lets go of the lock when this is closed, also at a `kill -9`.
    _lock: File,
    /// Whether the lock file is to be removed with the claim: it was made by a claim that was not kept.
    stray: bool,
}

impl Claim {
    /// Takes the right to a file.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where somebody has it; [`OpenError::ReadOnly`] where no lock file can be made.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let refused =
            |error: &io::Error| OpenError::ReadOnly { path: path.to_owned(), reason: error.to_string() };
        let lock_path = beside(path, ".lock");
        loop {
            let (lock, stray) = open_lock(&lock_path).map_err(|error| refused(&error))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(path.to_owned())),
                Err(TryLockError::Error(error)) => return Err(refused(&error)),
            }
            // Whoever gave up a claim may have removed the very file that was just locked: then try the new one.
            let held = lock.metadata().map_err(|error| refused(&error))?;
            if Identity::of(&lock_path) == Some(Identity::from(&held)) {
                return Ok(Self { lock_path, _lock: lock, stray });
            }
        }
    }

    /// Keeps the lock file for ever: the database was opened.
    pub(super) fn keep(&mut self) {
        self.stray = false;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is still locked: see the check in `take`.
        if self.stray {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// The lock file, and whether it was made now.
fn open_lock(path: &Path) -> io::Result<(File, bool)> {
    match File::options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let lock = File::options().write(true).create(true).truncate(false).open(path)?;
            Ok((lock, false))
        }
        made => Ok((made?, true)),
    }
}

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|found| Self::from(&found))
    }
}

impl From<&Metadata> for Identity {
    fn from(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

/// Notices that a file was deleted or replaced under its open connections, whose writes would then be lost.
#[derive(Debug)]
pub(super) struct Guard {
    files: Vec<(PathBuf, Option<Identity>)>,
}

impl Guard {
    /// Remembers the database and its log as they are now; both stay the same files while a connection is open.
    pub(super) fn new(path: &Path) -> Self {
        let files = [path.to_owned(), beside(path, "-wal")];
        Self { files: files.map(|file| (file.clone(), Identity::of(&file))).into() }
    }

    /// Costs two looks at a folder, no opened file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where one of the files is gone or another one.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        for (file, identity) in &self.files {
            let now = Identity::of(file);
            if now.is_none() || now != *identity {
                let what = if now.is_none() { "deleted" } else { "replaced" };
                return Err(StoreError::Damaged(format!(
                    "{} was {what} while it was in use",
                    file.display()
                )));
            }
        }
        Ok(())
    }
}
