//! The key of a log or of a witness, in its folder: made once, and never without its name.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use soma_registry::log::NoteSecret;
use soma_registry::{SecretKey, owner_only};

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
            owner_only::create(file, &format!("{}\n", secret.expose())).with_context(place)?;
            Ok(secret)
        }
        Err(error) => Err(error).with_context(place),
    }
}

/// What others pin, where whoever runs this finds it.
pub(crate) fn publish(file: &Path, key: &impl Display) -> anyhow::Result<()> {
    fs::write(file, format!("{key}\n")).with_context(|| file.display().to_string())
}
