//! Files and folders that nobody but the user of this process can reach: what is made here is made
//! so, and what is there already is checked.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// Why something is not its owner's alone.
#[derive(Debug, thiserror::Error)]
pub enum OwnerOnlyError {
    /// It cannot be looked at or made.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It is another user's.
    #[error(
        "{0} belongs to another user (uid {owner}): run this as that user, or `chown` it to the \
         one who runs this",
        .path.display()
    )]
    OtherOwner {
        /// What.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Its mode lets others in.
    #[error(
        "other users can reach {0} (mode {mode:o}): run `chmod {wanted:o} {0}`",
        .path.display()
    )]
    Open {
        /// What.
        path: PathBuf,
        /// The mode it has.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
}

/// Makes the folder where it is missing. One that is there must be the owner's alone, unless it
/// is still empty, as a fresh volume is: then it is made so.
pub fn folder(path: &Path) -> Result<(), OwnerOnlyError> {
    make_folder(path).map_err(at(path))?;
    let about = fs::metadata(path).map_err(at(path))?;
    if is_open(&about) && is_own(&about) && is_empty(path).map_err(at(path))? {
        return fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(at(path));
    }
    check(path, &about, 0o700)
}

/// Makes the folder where it is missing, and leaves one that is there as it is. The folders above
/// too: who makes ~/.local/share gives it the mode that XDG asks for.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Refuses a file that others can reach.
pub fn file(path: &Path) -> Result<(), OwnerOnlyError> {
    check(path, &fs::metadata(path).map_err(at(path))?, 0o600)
}

/// Makes a file that is not there yet: its owner's alone from the first byte on.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
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
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Makes an empty file where there is none, and closes one that others can read: for what the
/// folder around it has kept from them all the time.
pub fn narrow(path: &Path) -> io::Result<()> {
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

fn at(path: &Path) -> impl Fn(io::Error) -> OwnerOnlyError {
    |error| OwnerOnlyError::Io {
        path: path.to_owned(),
        error,
    }
}

fn check(path: &Path, about: &Metadata, wanted: u32) -> Result<(), OwnerOnlyError> {
    let path = path.to_owned();
    if !is_own(about) {
        let owner = about.uid();
        return Err(OwnerOnlyError::OtherOwner { path, owner });
    }
    if is_open(about) {
        let mode = about.mode() & 0o777;
        return Err(OwnerOnlyError::Open { path, mode, wanted });
    }
    Ok(())
}

fn is_own(about: &Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw()
}

fn is_open(about: &Metadata) -> bool {
    about.mode() & 0o077 != 0
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}
