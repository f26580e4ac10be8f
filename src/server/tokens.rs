//! Owns where the static tokens come from: the environment, a file, or one made at the first start.
//!
//! - A file with tokens that others than its user may read, or that is a stranger's, is refused, not used.
//! - The made token's file appears whole, with mode 0600, or not at all; an existing one is never changed.
//! - What is given here is text: what a token table looks like is the HTTP layer's.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::settings::{Secret, TokenSource, is_strangers};

/// A file with tokens is small.
const MAX_BYTES: u64 = 1024 * 1024;

/// 32 random bytes, as hexadecimal digits.
const TOKEN_DIGITS: usize = 64;

/// Why there are no tokens. No message shows one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file {file}: {source}", file = .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("the token file {file} is open to other users: run `chmod 600 {file}`", file = .0.display())]
    Open(PathBuf),
    /// It is somebody else's.
    #[error("the token file {file} belongs to another user: run `chown`, or remove it", file = .0.display())]
    Foreign(PathBuf),
    /// It holds no token.
    #[error("the token file {file} holds no token", file = .0.display())]
    Empty(PathBuf),
    /// It is not what was written there.
    #[error(
        "the token file {file} is damaged: remove it, and the next start makes a new token",
        file = .0.display()
    )]
    Damaged(PathBuf),
    /// It cannot be made.
    #[error("cannot make the token file {file}: {reason}", file = .file.display())]
    NotMade {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// What is configured is no table of tokens; the reason shows none.
    #[error("the configured tokens are not usable: {0}")]
    Table(String),
}

/// The tokens of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tokens {
    /// The person chose them: `alice=TOKEN;root=TOKEN:view_any_task+cancel_any_task`.
    Configured(Secret),
    /// One was made, now or at an earlier start.
    Kept {
        /// The token.
        token: Secret,
        /// Its file.
        file: PathBuf,
    },
    /// One has to be made, once the database is this server's.
    Missing(PathBuf),
}

impl Tokens {
    /// Looks for the tokens; makes nothing.
    pub(super) fn find(source: &TokenSource, database: &Path) -> Result<Self, TokenError> {
        match source {
            TokenSource::Given(table) => Ok(Self::Configured(table.clone())),
            TokenSource::File(file) => {
                let text = read(file)?.ok_or_else(|| {
                    let source = io::ErrorKind::NotFound.into();
                    TokenError::Unreadable { file: file.clone(), source }
                })?;
                table(&text).map(Self::Configured).ok_or_else(|| TokenError::Empty(file.clone()))
            }
            TokenSource::Made => {
                let file = beside(database);
                match read(&file)? {
                    Some(text) => kept(&text)
                        .map(|token| Self::Kept { token, file: file.clone() })
                        .ok_or(TokenError::Damaged(file)),
                    None => Ok(Self::Missing(file)),
                }
            }
        }
    }

    /// Makes the missing token; says whether it did.
    pub(super) fn make(&mut self) -> Result<bool, TokenError> {
        let Self::Missing(file) = self else { return Ok(false) };
        let failed = |reason: String| TokenError::NotMade { file: file.clone(), reason };
        let mut bytes = [0; TOKEN_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| failed(error.to_string()))?;
        let token = Secret::new(hex(&bytes));
        write(file, &token).map_err(|error| failed(error.to_string()))?;
        // The demo lines are pasted anywhere: they need the whole path.
        let file = fs::canonicalize(&*file).unwrap_or_else(|_| file.clone());
        *self = Self::Kept { token, file };
        Ok(true)
    }

    /// The table of tokens as text.
    pub(super) fn table(&self) -> Secret {
        match self {
            Self::Configured(table) => table.clone(),
            Self::Kept { token, .. } => {
                Secret::new(format!("admin={}:view_any_task+cancel_any_task", token.expose()))
            }
            Self::Missing(_) => Secret::new(""),
        }
    }

    /// The file of the made token, as a whole path.
    pub(super) fn kept_in(&self) -> Option<PathBuf> {
        match self {
            Self::Kept { file, .. } => Some(fs::canonicalize(file).unwrap_or_else(|_| file.clone())),
            Self::Configured(_) | Self::Missing(_) => None,
        }
    }
}

/// `quell.db` keeps its token in `quell.db.token`.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".token");
    PathBuf::from(name)
}

/// A file that only its user may read; none where there is none.
fn read(path: &Path) -> Result<Option<Secret>, TokenError> {
    let unreadable = |source| TokenError::Unreadable { file: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // The open file is asked, not the path: what was checked is what is read.
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(TokenError::Open(path.to_owned()));
    }
    if is_strangers(metadata.uid()) {
        return Err(TokenError::Foreign(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(Some(Secret::new(text)))
}

/// Entries stand on lines of their own or between `;`.
fn table(text: &Secret) -> Option<Secret> {
    let entries: Vec<&str> =
        text.expose().split(['\n', ';']).map(str::trim).filter(|entry| !entry.is_empty()).collect();
    (!entries.is_empty()).then(|| Secret::new(entries.join(";")))
}

fn kept(text: &Secret) -> Option<Secret> {
    let token = text.expose().trim_end();
    (token.len() == TOKEN_DIGITS && token.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Secret::new(token))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// Written whole beside its place, then linked there: a crash leaves no half token, and an existing file stays.
fn write(path: &Path, token: &Secret) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    // A draft of a process that died with this id.
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = writeln!(file, "{}", token.expose())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    linked?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(folder: &Path) -> Result<Tokens, TokenError> {
        Tokens::find(&TokenSource::Made, &folder.join("quell.db"))
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_first_start_makes_a_token_that_the_second_finds() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = made(folder.path()).unwrap();
        assert!(matches!(first, Tokens::Missing(_)));
        assert!(first.make().unwrap());
        let path = folder.path().join("quell.db.token");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut second = made(folder.path()).unwrap();
        assert!(!second.make().unwrap());
        assert_eq!(first.table(), second.table());
        assert_eq!(second.kept_in(), Some(fs::canonicalize(path).unwrap()));
        assert!(!format!("{first:?}").contains(&second.table().expose()[6..70]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
    }

    #[test]
    fn a_kept_token_that_others_may_read_or_that_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut tokens = made(folder.path()).unwrap();
        tokens.make().unwrap();
        let path = folder.path().join("quell.db.token");
        for mode in [0o640, 0o604, 0o620, 0o644] {
            chmod(&path, mode);
            assert!(matches!(made(folder.path()), Err(TokenError::Open(_))), "{mode:o}");
        }
        chmod(&path, 0o600);
        for text in ["", "short", &"g".repeat(64), &"a".repeat(63)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(made(folder.path()), Err(TokenError::Damaged(_))), "{text}");
        }
    }

    #[test]
    fn an_existing_file_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quell.db.token");
        let mut tokens = Tokens::Missing(path.clone());
        fs::write(&path, "mine").unwrap();
        assert!(matches!(tokens.make(), Err(TokenError::NotMade { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft stays");
    }

    #[test]
    fn a_configured_file_must_be_closed_and_hold_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let find = || Tokens::find(&TokenSource::File(path.clone()), Path::new("quell.db"));
        assert!(matches!(find(), Err(TokenError::Unreadable { .. })));
        fs::write(&path, "a=1\n\nb=2;c=3\n").unwrap();
        chmod(&path, 0o644);
        assert!(matches!(find(), Err(TokenError::Open(_))));
        chmod(&path, 0o600);
        assert_eq!(find().unwrap().table().expose(), "a=1;b=2;c=3");
        fs::write(&path, " \n").unwrap();
        assert!(matches!(find(), Err(TokenError::Empty(_))));
    }
}
