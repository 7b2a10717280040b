//! Files and folders that nobody but the user who runs the host can reach: what is made here is
//! made so, and what is there already is checked.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use anyhow::bail;

/// Makes the folder where it is missing. One that is there must be the owner's alone, unless it
/// is still empty, as a fresh volume is: then it is made so.
pub(crate) fn folder(path: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        // The folders above too: who makes ~/.local/share gives it the mode that XDG asks for.
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    let about = fs::metadata(path)?;
    if is_open(&about) && is_own(&about) && fs::read_dir(path)?.next().is_none() {
        return Ok(fs::set_permissions(path, Permissions::from_mode(0o700))?);
    }
    check(path, &about, "700")
}

/// Makes a file that is not there yet: its owner's alone from the first byte on.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts a file into the place of another: there as a whole or not at all, and its owner's alone.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Refuses a file that others can reach.
pub(crate) fn file(path: &Path) -> anyhow::Result<()> {
    check(path, &fs::metadata(path)?, "600")
}

/// Makes an empty file where there is none, and closes one that others can read: for what the
/// folder around it has kept from them all the time.
pub(crate) fn narrow(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    if is_open(&file.metadata()?) {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn check(path: &Path, about: &Metadata, mode: &str) -> anyhow::Result<()> {
    let shown = path.display();
    if !is_own(about) {
        let owner = about.uid();
        bail!(
            "{shown} belongs to another user (uid {owner}): run the host as that user, or \
             `chown` it to the one who runs the host"
        );
    }
    if is_open(about) {
        let is = about.mode() & 0o777;
        bail!("other users can reach {shown} (mode {is:o}): run `chmod {mode} {shown}`");
    }
    Ok(())
}

fn is_own(about: &Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw()
}

fn is_open(about: &Metadata) -> bool {
    about.mode() & 0o077 != 0
}
