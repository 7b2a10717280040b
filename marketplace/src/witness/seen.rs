//! What a witness has seen of each log, a file a log. It survives a crash at any point: a witness
//! that forgets would cosign a second history.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use soma_registry::log::Seen;

/// The folder, held by this process alone.
pub(super) struct SeenFolder {
    folder: PathBuf,
    _lock: File,
}

impl SeenFolder {
    /// Takes the folder.
    pub(super) fn open(data: &Path) -> anyhow::Result<Self> {
        let lock = File::create(data.join("witness.lock")).context("witness.lock")?;
        lock.try_lock().with_context(|| {
            format!(
                "another witness runs on {}: each needs its own",
                data.display()
            )
        })?;
        let folder = data.join("seen");
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// What was seen of a log; a file that cannot be read is an error and not nothing.
    pub(super) fn get(&self, origin: &str) -> io::Result<Option<Seen>> {
        match fs::read(self.file(origin)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps it: on disk, when this returns.
    pub(super) fn put(&self, seen: &Seen) -> io::Result<()> {
        let (file, new) = (self.file(&seen.origin), self.folder.join("new"));
        let mut written = File::create(&new)?;
        written.write_all(&serde_json::to_vec(seen)?)?;
        written.sync_all()?;
        fs::rename(&new, file)?;
        File::open(&self.folder)?.sync_all()
    }

    /// An origin has characters that a file's name must not have.
    fn file(&self, origin: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(origin));
        self.folder.join(format!("{name}.json"))
    }
}
