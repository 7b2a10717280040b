//! The key of a log or of a witness, in its folder: made once, and never without its name.

use std::fmt::Display;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use anyhow::{Context as _, bail};
use soma_registry::SecretKey;
use soma_registry::log::NoteSecret;

/// A folder for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the data folder {}", folder.display()))?;
    let about = fs::metadata(folder)?;
    let (mode, shown) = (about.mode() & 0o777, folder.display());
    if mode & 0o077 == 0 {
        return Ok(());
    }
    // As a fresh volume is.
    if fs::read_dir(folder)?.next().is_none() {
        return fs::set_permissions(folder, Permissions::from_mode(0o700))
            .with_context(|| format!("other users can reach {shown} (mode {mode:o})"));
    }
    bail!("other users can reach {shown} (mode {mode:o}): run `chmod 700 {shown}`")
}

/// The key in the file, which must have this name where one is given; or a new one where there is
/// no file.
pub(crate) fn open(file: &Path, name: Option<&str>, fallback: &str) -> anyhow::Result<NoteSecret> {
    let place = || format!("the key in {}", file.display());
    match fs::read_to_string(file) {
        Ok(text) => {
            let secret: NoteSecret = text.trim_end().parse().with_context(place)?;
            if let Some(name) = name.filter(|name| *name != secret.name()) {
                bail!(
                    "{} is of `{}`, not of `{name}`: a name is decided once",
                    place(),
                    secret.name()
                );
            }
            Ok(secret)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let secret = NoteSecret::new(name.unwrap_or(fallback), SecretKey::generate()?)?;
            let mut options = OpenOptions::new();
            let mut file = options
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(file)
                .with_context(place)?;
            writeln!(file, "{}", secret.expose())?;
            file.sync_all()?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(place),
    }
}

/// What others pin, where whoever runs this finds it.
pub(crate) fn publish(file: &Path, key: &impl Display) -> anyhow::Result<()> {
    fs::write(file, format!("{key}\n")).with_context(|| file.display().to_string())
}
