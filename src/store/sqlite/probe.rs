//! Looking at a file before it is opened, without changing a byte of it or leaving a file beside it.
//!
//! Invariant: whatever is refused here is as it was.
//!
//! It does not read every byte of a large file: above 256 MiB only what is cheap is checked.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use diesel::SqliteConnection;

use crate::store::OpenError;

use super::connect::{probing, texts};
use super::file::beside;
use super::migrate::unknown_migration;

/// `quel`, in the header of every database that is ours: `PRAGMA application_id`.
pub(super) const APPLICATION_ID: u32 = 0x7175_656c;

/// The largest file of which every page is checked at the start.
const QUICK_CHECK_BYTES: u64 = 256 * 1024 * 1024;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet, or an empty file.
    Nothing,
    /// A database of ours that can be used.
    Ours,
}

/// Looks at a file that is claimed.
///
/// # Errors
/// [`OpenError::Corrupt`], [`OpenError::Foreign`], [`OpenError::NewerSchema`], [`OpenError::ReadOnly`],
/// [`OpenError::Failed`] where the system refuses to read it.
pub(super) fn examine(path: &Path) -> Result<Found, OpenError> {
    let corrupt = |reason: String| OpenError::Corrupt { path: path.to_owned(), reason };
    let size = fs::metadata(path).map_or(0, |found| found.len());
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |found| found.len());
    if size == 0 {
        // SQLite would delete the log, and with it all that it holds.
        return if log == 0 {
            Ok(Found::Nothing)
        } else {
            Err(corrupt("the file is empty or gone, but its log (-wal) is there".to_owned()))
        };
    }

    let header = read_header(path)?.ok_or_else(|| corrupt("it is no SQLite database".to_owned()))?;
    if header.application_id != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if fs::metadata(beside(path, "-journal")).is_ok_and(|journal| journal.len() > 0) {
        // A crash while it was made. SQLite takes that back when it is opened, and only then can it be checked.
        return Ok(Found::Ours);
    }
    if log == 0 && size < header.bytes() {
        return Err(corrupt(format!("it is cut short: {size} of {} bytes", header.bytes())));
    }
    let mut db = probing(path, log > 0).map_err(corrupt)?;
    if size.saturating_add(log) <= QUICK_CHECK_BYTES {
        quick_check(&mut db).map_err(corrupt)?;
    }
    match unknown_migration(&mut db).map_err(corrupt)? {
        Some(found) => Err(OpenError::NewerSchema { path: path.to_owned(), found }),
        None => Ok(Found::Ours),
    }
}

fn quick_check(db: &mut SqliteConnection) -> Result<(), String> {
    let said = texts(db, "SELECT quick_check AS value FROM pragma_quick_check LIMIT 1")?;
    match said.first() {
        Some(word) if word == "ok" => Ok(()),
        Some(defect) => Err(defect.replace('\n', " ")),
        None => Err("its check says nothing".to_owned()),
    }
}

/// The part of SQLite's header that tells whose file it is, and how long.
struct Header {
    application_id: u32,
    page_bytes: u64,
    pages: u64,
}

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let page_bytes = match u16::from_be_bytes(field(bytes, 16)?) {
            1 => 65_536,
            size => u64::from(size),
        };
        Some(Self {
            application_id: u32::from_be_bytes(field(bytes, 68)?),
            page_bytes,
            pages: u64::from(u32::from_be_bytes(field(bytes, 28)?)),
        })
    }

    fn bytes(&self) -> u64 {
        self.page_bytes.saturating_mul(self.pages)
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Opens the file for writing too, so that a file that cannot be written is refused here.
fn read_header(path: &Path) -> Result<Option<Header>, OpenError> {
    let mut bytes = Vec::with_capacity(100);
    let read = File::options()
        .read(true)
        .write(true)
        .open(path)
        .and_then(|file| file.take(100).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Header::parse(&bytes)),
        Err(error) => {
            let (path, reason) = (path.to_owned(), error.to_string());
            match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    Err(OpenError::ReadOnly { path, reason })
                }
                _ => Err(OpenError::Failed { path, reason }),
            }
        }
    }
}
