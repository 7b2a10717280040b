//! Precompiled code on disk. It is native code, and whoever can change it owns the host: so the
//! files are owner-only, and each ends in a MAC under the host's own key that is checked on
//! the very bytes that are then loaded.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use soma_capability::Digest;

const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = blake3::OUT_LEN;
const EXTENSION: &str = ".code";

/// The cache's folder or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the code cache at {path} cannot be used: {source}")]
pub struct CacheError {
    path: PathBuf,
    source: io::Error,
}

/// A folder of precompiled code that only this host's key opens. Never share it between hosts,
/// and never back it up: it can always be made again.
pub(crate) struct CodeCache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    compatibility: u64,
}

impl CodeCache {
    /// Opens the folder, making it and its key where they are missing.
    pub(crate) fn open(folder: &Path, compatibility: u64) -> Result<Self, CacheError> {
        let key = make_folder(folder).and_then(|()| host_key(folder));
        match key {
            Ok(key) => {
                let cache = Self {
                    folder: folder.to_owned(),
                    key,
                    compatibility,
                };
                if let Err(error) = cache.sweep() {
                    tracing::warn!(path = %folder.display(), %error, "code of other versions could not be deleted");
                }
                Ok(cache)
            }
            Err(source) => Err(CacheError {
                path: folder.to_owned(),
                source,
            }),
        }
    }

    /// The code for a component, where it is here and authentic. What is not authentic is
    /// deleted and said loudly.
    pub(crate) fn get(&self, digest: &Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let mut bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cached code cannot be read");
                return None;
            }
        };
        let end = bytes.len().saturating_sub(MAC_BYTES);
        let (code, mac) = bytes.split_at(end);
        let authentic = self.mac(digest, code) == *mac;
        if !authentic {
            tracing::error!(path = %path.display(), "cached code is not what this host wrote: deleted, it will be compiled again");
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::error!(path = %path.display(), %error, "it cannot be deleted");
            }
            return None;
        }
        bytes.truncate(end);
        Some(bytes)
    }

    /// Keeps code. A reader sees the whole file or none.
    pub(crate) fn put(&self, digest: &Digest, code: &[u8]) -> io::Result<()> {
        // Temporary files of this crate are made owner-only.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(code)?;
        file.write_all(self.mac(digest, code).as_bytes())?;
        file.persist(self.path(digest))
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Drops the code of a component that is no longer installed.
    pub(crate) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match std::fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Deletes code that this engine cannot load: what an upgrade leaves behind.
    fn sweep(&self) -> io::Result<()> {
        let own = self.suffix();
        for file in std::fs::read_dir(&self.folder)? {
            let file = file?;
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(EXTENSION) && !name.ends_with(&own) {
                match std::fs::remove_file(file.path()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder
            .join(format!("{}{}", digest.hex(), self.suffix()))
    }

    fn suffix(&self) -> String {
        format!("-{:016x}{EXTENSION}", self.compatibility)
    }

    /// Covers what the code was compiled from and for, so that no file can stand in for another.
    fn mac(&self, digest: &Digest, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher
            .update(digest.as_bytes())
            .update(&self.compatibility.to_le_bytes())
            .update(code);
        // Comparing two of these hashes takes the same time wherever they differ.
        hasher.finalize()
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    refuse_others(folder)
}

/// The key that this host alone knows; made once, whole or not at all.
fn host_key(folder: &Path) -> io::Result<[u8; KEY_BYTES]> {
    let path = folder.join("key");
    let mut key = [0; KEY_BYTES];
    if !path.exists() {
        getrandom::fill(&mut key)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&key)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error.error);
            }
            // Somebody else was first: theirs is the key.
            _ => {}
        }
    }
    refuse_others(&path)?;
    File::open(&path)?.read_exact(&mut key)?;
    Ok(key)
}

fn refuse_others(path: &Path) -> io::Result<()> {
    let about = std::fs::metadata(path)?;
    let user = rustix::process::geteuid().as_raw();
    check_access(path, about.uid(), about.mode(), user)
}

fn check_access(path: &Path, owner: u32, mode: u32, user: u32) -> io::Result<()> {
    let path = path.display();
    let denied = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if owner != user {
        return denied(format!(
            "{path} belongs to the user {owner} and the host runs as {user}: delete it and it is made again, or `chown` it"
        ));
    }
    if mode & 0o077 != 0 {
        return denied(format!(
            "others than its owner can reach {path} (mode {:o}): run `chmod go= {path}`, or delete it and it is made again",
            mode & 0o777,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hosts_own_user_may_own_and_reach_it() {
        let check = |owner, mode| check_access(Path::new("code"), owner, mode, 7);
        assert!(check(7, 0o40700).is_ok());
        assert!(check(7, 0o40710).is_err());
        assert!(check(8, 0o40700).is_err());
        assert!(check(0, 0o40700).is_err());
    }

    #[test]
    fn code_for_other_engines_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("code");
        let digest = Digest::of(b"a component");
        let old = CodeCache::open(&folder, 1).unwrap();
        old.put(&digest, b"old").unwrap();
        let new = CodeCache::open(&folder, 2).unwrap();
        assert_eq!(old.get(&digest), None);
        new.put(&digest, b"new").unwrap();
        let again = CodeCache::open(&folder, 2).unwrap();
        assert_eq!(again.get(&digest).as_deref(), Some(&b"new"[..]));
    }
}
