//! The user's own folder: signing keys and logins, which nobody else may read.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

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
    let cannot =
        |e: io::Error| Failure::failed(format_args!("cannot make {}: {e}", folder.display()));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(cannot)?;
    check_private(folder)
}

/// Refuses a file or folder of secrets that others can read.
pub(crate) fn check_private(path: &Path) -> Result<(), Failure> {
    let metadata = fs::metadata(path)
        .map_err(|e| Failure::usage(format_args!("cannot read {}: {e}", path.display())))?;
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
    write_beside(path, bytes)
        .map_err(|e| Failure::failed(format_args!("cannot write {}: {e}", path.display())))
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or(OsStr::new("file")).to_owned();
    name.push(".new");
    let new = folder.join(name);
    // One that an earlier run left behind may have other rights.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
