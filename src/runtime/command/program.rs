//! Finding the program of a command: once, when it is registered.

use std::io;
use std::path::{Path, PathBuf, absolute};

use rustix::fs::{Access, access};

use super::error::CommandTaskError;

/// The path of a program: as it stands where it has a `/`, else the first of its name in the folders of `path`.
pub(super) fn find(program: &str, path: &str) -> Result<PathBuf, CommandTaskError> {
    if program.contains('\0') {
        return Err(CommandTaskError::Nul(program.replace('\0', "\u{fffd}")));
    }
    if program.contains('/') {
        let given = Path::new(program);
        let refused = |error: io::Error| CommandTaskError::NotExecutable {
            program: given.to_owned(),
            reason: error.to_string(),
        };
        runs(given).map_err(refused)?;
        return absolute(given).map_err(refused);
    }
    let folders = path.split(':').filter(|folder| !folder.is_empty());
    let mut places = folders.map(|folder| Path::new(folder).join(program));
    let found = places.find(|place| !program.is_empty() && runs(place).is_ok());
    found.and_then(|place| absolute(place).ok()).ok_or_else(|| CommandTaskError::ProgramNotFound {
        program: program.to_owned(),
        path: path.to_owned(),
    })
}

/// Whether it is a file that this process may run.
fn runs(program: &Path) -> io::Result<()> {
    if !program.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(access(program, Access::EXEC_OK)?)
}

/// A folder to run in, whatever the working folder of this process is by then.
pub(super) fn folder(given: &Path) -> Result<PathBuf, CommandTaskError> {
    let refused = |reason: String| CommandTaskError::Folder { folder: given.to_owned(), reason };
    match given.metadata() {
        Ok(found) if found.is_dir() => absolute(given).map_err(|error| refused(error.to_string())),
        Ok(_) => Err(refused("it is no folder".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}
