//! Owns the reading of flags, environment and file into what `resolve` takes. The only reader of the environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::shown;
use super::{Flags, Secret, Settings, SettingsError, Source, TomlFile, resolve};

/// A settings file is small.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads the environment and the file, and settles every setting.
///
/// # Errors
/// As [`resolve`]; [`SettingsError::Unreadable`] where the file was named and cannot be read.
pub fn load(flags: &Flags) -> Result<Settings, SettingsError> {
    let variables = variables()?;
    let file = file(flags, &variables)?;
    resolve(flags, &variables, file.as_ref())
}

/// The variables: what means something here, and what a command may be given.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> Result<BTreeMap<String, String>, SettingsError> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        let is_ours = name.starts_with("QUELL_") || name == "RUST_LOG" || name == "NO_COLOR";
        let value = value.into_string();
        if !is_ours && value.is_err() {
            continue;
        }
        let Ok(value) = value else {
            return Err(SettingsError::Hidden {
                from: Source::Variable(shown(&name)),
                allowed: "its value must be UTF-8".to_owned(),
            });
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

fn file(flags: &Flags, variables: &BTreeMap<String, String>) -> Result<Option<TomlFile>, SettingsError> {
    if let Some(path) = flags.config.as_ref().or_else(|| variables.get("QUELL_CONFIG")) {
        let path = Path::new(path);
        return read(path).map(Some).map_err(|error| SettingsError::unreadable(path, &error));
    }
    let path = Path::new("quell.toml");
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(|error| SettingsError::unreadable(path, &error)),
    }
}

fn read(path: &Path) -> io::Result<TomlFile> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    let (mode, owner) = (metadata.mode(), metadata.uid());
    let mut text = String::new();
    if file.take(MAX_FILE_BYTES).read_to_string(&mut text)?
        == usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX)
    {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(TomlFile {
        path: path.to_owned(),
        text: Secret::new(text),
        others_may_read: mode & 0o077 != 0,
        others_may_write: mode & 0o022 != 0 || is_strangers(owner),
    })
}

/// Whether the owner of a file is neither the server's user nor root: whatever its mode says, they may change it.
pub(in crate::server) fn is_strangers(owner: u32) -> bool {
    is_neither(owner, rustix::process::geteuid().as_raw())
}

fn is_neither(owner: u32, own: u32) -> bool {
    owner != own && owner != 0
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_a_strangers_unless_it_is_ours_or_roots() {
        let (us, them) = (1000, 1001);
        for (owner, own, strangers) in
            [(us, us, false), (0, us, false), (0, 0, false), (them, us, true), (them, 0, true)]
        {
            assert_eq!(is_neither(owner, own), strangers, "of {owner}, read by {own}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_to_is_told_from_one_that_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quell.toml");
        fs::write(&path, "").unwrap();
        for (mode, others) in [(0o600, false), (0o644, false), (0o664, true), (0o646, true)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).unwrap().others_may_write, others, "{mode:o}");
        }
    }
}
