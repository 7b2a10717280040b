//! A host's data folder, as a client on the same machine sees it: where its host listens, and the
//! keys in it.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;

use secrecy::SecretString;
use soma_host::ApiKey;
use url::Url;

use crate::failure::{Exit, Failure};

/// Which of the data folder's keys a command uses. Calling never needs more than the lesser one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LocalKey {
    Invoke,
    Admin,
}

/// The folder, which may be missing.
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where the folder's host listens; none where none runs on it. One that was killed leaves its
    /// address behind, where anybody may listen since, and would be shown the key.
    pub(crate) fn host(&self) -> Result<Option<Url>, Failure> {
        let path = self.0.join("host.url");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| unreadable(&path.display(), &error))?,
        };
        let url = Url::parse(text.trim())
            .map_err(|e| Failure::usage(format_args!("{} is damaged: {e}", path.display())))?;
        Ok(self.is_held()?.then_some(url))
    }

    fn is_held(&self) -> Result<bool, Failure> {
        let path = self.0.join("host.lock");
        let lock = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            lock => lock.map_err(|error| unreadable(&path.display(), &error))?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(unreadable(&path.display(), &error)),
        }
    }

    /// One of the folder's keys, to be shown to its own host and to nobody else.
    pub(crate) fn key(&self, which: LocalKey) -> Result<SecretString, Failure> {
        let path = self.key_file(which);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::new(
                Exit::NotAllowed,
                format_args!("cannot read the key in {}: {error}", path.display()),
            )
            .hint("set SOMA_KEY to a key, or run as the user whom the data folder belongs to")
        })?;
        Ok(text.trim().into())
    }

    /// Puts a key with its new secret in the place of the old, where the folder has it.
    pub(crate) fn keep(&self, key: &ApiKey) -> Result<(), Failure> {
        for which in [LocalKey::Invoke, LocalKey::Admin] {
            let path = self.key_file(which);
            let old = fs::read_to_string(&path).ok();
            let old = old.and_then(|text| text.trim().parse::<ApiKey>().ok());
            if old.is_some_and(|old| old.id() == key.id()) {
                soma_host::write_local_key(&path, key).map_err(|error| {
                    Failure::failed(format_args!("cannot write {}: {error}", path.display()))
                        .hint("the key has a new secret all the same: the next start of `soma serve` makes another")
                })?;
            }
        }
        Ok(())
    }

    fn key_file(&self, which: LocalKey) -> PathBuf {
        self.0.join("keys").join(match which {
            LocalKey::Invoke => "invoke.key",
            LocalKey::Admin => "admin.key",
        })
    }
}

impl fmt::Display for DataFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

fn unreadable(path: &dyn fmt::Display, error: &io::Error) -> Failure {
    Failure::usage(format_args!("cannot read {path}: {error}"))
}
