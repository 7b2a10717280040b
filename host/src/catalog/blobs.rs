//! The capsule files: `<folder>/<64 hex digits>.wasm`, each named by what is in it. Beside one that
//! is being installed or uninstalled lies an empty `<64 hex digits>.unsettled`, so that whoever
//! starts after a crash knows which files may have no row. Files without one are never removed by
//! themselves: that a database does not know them may mean that it is the wrong database.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use soma_capability::Digest;
use tokio::task::spawn_blocking;

/// Where they are in a data folder.
const FOLDER: &str = "capsules/sha256";
const WASM: &str = ".wasm";
const UNSETTLED: &str = ".unsettled";
const WRITING: &str = ".new-";

/// The file of a capsule, as a data folder has it.
pub(crate) fn file_of(digest: &Digest) -> String {
    format!("{FOLDER}/{}", named(digest, WASM))
}

/// The digits in the name of a file that stands where a capsule's does.
pub(crate) fn hex_of(file: &str) -> Option<&str> {
    let name = file.strip_prefix(FOLDER)?.strip_prefix('/')?;
    name.strip_suffix(WASM)
}

pub(super) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    /// Those of a data folder.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    pub(super) fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(named(digest, WASM))
    }

    pub(super) async fn read(&self, digest: &Digest) -> io::Result<Vec<u8>> {
        tokio::fs::read(self.path(digest)).await
    }

    /// Whoever looks sees the whole file or none, even after a power cut.
    pub(super) async fn write(&self, digest: &Digest, bytes: Arc<[u8]>) -> io::Result<()> {
        let (folder, path) = (self.folder.clone(), self.path(digest));
        let write = spawn_blocking(move || {
            let mut file = tempfile::Builder::new()
                .prefix(WRITING)
                .tempfile_in(&folder)?;
            file.write_all(&bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            File::open(&folder)?.sync_all()
        });
        write.await.map_err(io::Error::other)?
    }

    /// Removing what is not there is no error.
    pub(super) async fn remove(&self, digest: &Digest) -> io::Result<()> {
        remove(&self.path(digest)).await
    }

    /// From now on, until it is settled, this file may have no row.
    pub(super) async fn unsettle(&self, digest: &Digest) -> io::Result<()> {
        tokio::fs::write(self.mark(digest), []).await
    }

    /// Either there is a row for this file, or there is no file.
    pub(super) async fn settle(&self, digest: &Digest) -> io::Result<()> {
        remove(&self.mark(digest)).await
    }

    /// The files that were not settled when the last host ended. What it was just writing goes.
    pub(super) fn unsettled(&self) -> io::Result<Vec<Digest>> {
        let mut unsettled = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let name = file?.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(WRITING) {
                fs::remove_file(self.folder.join(&*name))?;
            } else if let Some(hex) = name.strip_suffix(UNSETTLED)
                && let Ok(digest) = format!("sha256:{hex}").parse()
            {
                unsettled.push(digest);
            }
        }
        Ok(unsettled)
    }

    fn mark(&self, digest: &Digest) -> PathBuf {
        self.folder.join(named(digest, UNSETTLED))
    }
}

fn named(digest: &Digest, ending: &str) -> String {
    format!("{}{ending}", digest.hex())
}

async fn remove(path: &Path) -> io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
