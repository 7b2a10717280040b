//! A host's data folder, as a client on the same machine sees it: where its host listens, and the
//! keys in it, of which one can be under a passphrase.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use secrecy::{ExposeSecret as _, SecretString};
use soma_host::{ApiKey, KeptKey, SealedKey};
use soma_registry::owner_only;
use url::Url;

use crate::failure::{Exit, Failure};
use crate::{passphrase, sealed};

/// Which of the data folder's keys a command uses. Calling never needs more than the lesser one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LocalKey {
    Invoke,
    Admin,
}

/// The folder, which may be missing.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// What opened a key of its, so that it is asked for once.
    passphrase: OnceLock<SecretString>,
}

impl DataFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        let passphrase = OnceLock::new();
        Self { path, passphrase }
    }

    /// Where the folder's host listens; none where none runs on it. One that was killed leaves its
    /// address behind, where anybody may listen since, and would be shown the key.
    pub(crate) fn host(&self) -> Result<Option<Url>, Failure> {
        let path = self.path.join("host.url");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Failure::unreadable(&path, error))?,
        };
        let url = Url::parse(text.trim())
            .map_err(|e| Failure::usage(format_args!("{} is damaged: {e}", path.display())))?;
        Ok(self.is_held()?.then_some(url))
    }

    fn is_held(&self) -> Result<bool, Failure> {
        let held = soma_host::is_in_use(&self.path);
        held.map_err(|error| Failure::unreadable(&self.path.join("host.lock"), error))
    }

    /// One of the folder's keys, to be shown to its own host and to nobody else. Asks for its
    /// passphrase where it has one.
    pub(crate) fn key(&self, which: LocalKey) -> Result<SecretString, Failure> {
        let path = self.key_file(which);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::new(
                Exit::NotAllowed,
                format_args!("cannot read the key in {}: {error}", path.display()),
            )
            .hint("set SOMA_KEY to a key, or run as the user whom the data folder belongs to")
        })?;
        match text.parse() {
            Ok(KeptKey::Sealed(key)) => Ok(self.unseal(&path, &key)?.expose().into()),
            // Whatever else it is, the host says what it thinks of it.
            _ => Ok(text.trim().into()),
        }
    }

    /// The admin key as it is kept.
    pub(crate) fn admin_key(&self) -> Result<KeptKey, Failure> {
        let path = self.key_file(LocalKey::Admin);
        let text = fs::read_to_string(&path);
        let text = text.map_err(|error| Failure::unreadable(&path, error))?;
        text.parse()
            .map_err(|e| Failure::usage(format_args!("{} is damaged: {e}", path.display())))
    }

    /// Makes sure that a new secret of this key can be kept here, where the folder has the key:
    /// asks for the passphrase that it is under.
    pub(crate) fn prepare(&self, id: &str) -> Result<(), Failure> {
        for which in [LocalKey::Invoke, LocalKey::Admin] {
            let path = self.key_file(which);
            if let Some(KeptKey::Sealed(key)) = kept(&path).filter(|kept| kept.id() == id) {
                self.unseal(&path, &key)?;
            }
        }
        Ok(())
    }

    /// Puts a key with its new secret in the place of the old, where the folder has it, and under
    /// the same passphrase.
    pub(crate) fn keep(&self, key: &ApiKey) -> Result<(), Failure> {
        for which in [LocalKey::Invoke, LocalKey::Admin] {
            let path = self.key_file(which);
            let written = match kept(&path).filter(|kept| kept.id() == key.id()) {
                None => continue,
                Some(KeptKey::Open(_)) => write(&path, key),
                Some(KeptKey::Sealed(_)) => self.write_sealed(&path, key),
            };
            written.map_err(|failure| {
                failure.hint("the key has a new secret all the same: where the file is gone, the next start of `soma serve` makes another")
            })?;
        }
        Ok(())
    }

    /// Keeps the admin key under this passphrase from now on.
    pub(crate) fn seal(&self, key: &ApiKey, passphrase: SecretString) -> Result<(), Failure> {
        write_sealed(&self.key_file(LocalKey::Admin), key, passphrase)
    }

    /// Keeps the admin key as it is from now on, under no passphrase. Gives its id.
    pub(crate) fn unseal_admin(&self) -> Result<String, Failure> {
        let path = self.key_file(LocalKey::Admin);
        let KeptKey::Sealed(key) = self.admin_key()? else {
            return Err(Failure::usage(format_args!(
                "the key in {} is under no passphrase",
                path.display()
            )));
        };
        let key = self.unseal(&path, &key)?;
        write(&path, &key)?;
        Ok(key.id().to_owned())
    }

    fn unseal(&self, path: &Path, key: &SealedKey) -> Result<ApiKey, Failure> {
        let passphrase = match self.passphrase.get() {
            Some(known) => known.clone(),
            None => passphrase::known("admin")?,
        };
        let text = sealed::open(key.armored().as_bytes(), passphrase.clone(), path)?;
        let text = SecretString::from(String::from_utf8(text).unwrap_or_default());
        let opened = text.expose_secret().trim().parse::<ApiKey>().ok();
        let opened = opened.filter(|opened| opened.id() == key.id());
        let opened = opened.ok_or_else(|| {
            let words = format_args!("{} has another key in it than it says", path.display());
            Failure::usage(words).hint("move it away, and the next start of `soma serve` makes one")
        })?;
        self.passphrase.get_or_init(|| passphrase);
        Ok(opened)
    }

    fn write_sealed(&self, path: &Path, key: &ApiKey) -> Result<(), Failure> {
        let passphrase = match self.passphrase.get() {
            Some(known) => known.clone(),
            None => passphrase::known("admin")?,
        };
        write_sealed(path, key, passphrase)
    }

    fn key_file(&self, which: LocalKey) -> PathBuf {
        self.path.join("keys").join(match which {
            LocalKey::Invoke => "invoke.key",
            LocalKey::Admin => "admin.key",
        })
    }
}

impl fmt::Display for DataFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The key in a file, where it has one.
fn kept(path: &Path) -> Option<KeptKey> {
    fs::read_to_string(path).ok()?.parse().ok()
}

fn write(path: &Path, key: &ApiKey) -> Result<(), Failure> {
    soma_host::write_local_key(path, key).map_err(|error| unwritable(path, &error))
}

fn write_sealed(path: &Path, key: &ApiKey, passphrase: SecretString) -> Result<(), Failure> {
    let armored = sealed::seal_as_text(key.expose().as_bytes(), passphrase)?;
    let text = SealedKey::new(key.id(), armored).to_string();
    owner_only::replace(path, text.as_bytes()).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format_args!("cannot write {}: {error}", path.display()))
}
