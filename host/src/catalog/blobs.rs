//! The capsule files: `<folder>/<64 hex digits>.wasm`, each named by what is in it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use soma_capability::Digest;
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

pub(super) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}.wasm", digest.hex()))
    }

    pub(super) async fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        tokio::fs::read(self.path(digest)).await
    }

    /// Whoever looks sees the whole file or none, even after a power cut.
    pub(super) async fn write(&self, digest: &Digest, bytes: Arc<[u8]>) -> io::Result<()> {
        let (folder, path) = (self.folder.clone(), self.path(digest));
        let write = spawn_blocking(move || {
            let mut file = NamedTempFile::new_in(&folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&folder)?.sync_all()
        });
        write.await.map_err(io::Error::other)?
    }

    /// Removing what is not there is no error.
    pub(super) async fn remove(&self, digest: &Digest) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
