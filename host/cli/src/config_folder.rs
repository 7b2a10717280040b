//! The user's own folder: signing keys and logins, which nobody else may read.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use soma_registry::owner_only;

use crate::failure::Failure;

/// `$XDG_CONFIG_HOME/soma`, else `~/.config/soma`.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))
        .map(|config| config.join("soma"))
        .ok_or_else(|| Failure::usage("there is no config folder: set XDG_CONFIG_HOME or HOME"))
}

/// Makes a folder that only its owner can look into; one that is there must be so.
pub(crate) fn make_private(folder: &Path) -> Result<(), Failure> {
    owner_only::make_folder(folder)
        .map_err(|e| Failure::failed(format_args!("cannot make {}: {e}", folder.display())))?;
    check_private(folder)
}

/// Refuses a file or folder of secrets that others can read. Whose it is does not matter: in a
/// container it is often a user's of the machine outside.
pub(crate) fn check_private(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path).map_err(|e| Failure::unreadable(path, e))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "{} can be read by other users",
        path.display()
    ))
    .hint(format_args!(
        "`chmod go= {}` keeps it to you",
        path.display()
    )))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    owner_only::replace(path, bytes)
        .map_err(|e| Failure::failed(format_args!("cannot write {}: {e}", path.display())))
}
