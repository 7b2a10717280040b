//! Outside services that keep credentials' values: the host's environment, mounted files, Vault. What
//! a host reads there is its operator's to say; a tenant reaches what is laid out for it, and no more.

mod environment;
mod files;
mod given;
mod source;
mod vault;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use moka::Expiry;
use moka::future::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use self::environment::Environment;
use self::files::Files;
pub use self::given::GivenVault;
pub(crate) use self::given::KeeperSettings;
pub(crate) use self::source::Source;
use self::vault::Vault;
use crate::finished::Finished;

/// Bytes of a value, wherever it comes from: more than any token has.
pub(crate) const MOST_BYTES: usize = 16 << 10;
/// How long one reading may take, logging in to Vault included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a source is left alone that gave nothing.
const ALONE: Duration = Duration::from_secs(5);
/// Readings remembered, in vain ones too.
const REMEMBERED: u64 = 10_000;

/// Somebody outside who keeps values.
#[async_trait]
trait Keeper: Send + Sync {
    /// What is there now, of what is laid out for this tenant.
    async fn read(&self, tenant: &str, source: &Source) -> Result<Read, KeeperError>;
}

/// What a keeper gave.
struct Read {
    value: SecretString,
    /// Whose it is, where that came along.
    user: Option<String>,
    /// How long it need not be asked again.
    good_for: Duration,
}

/// A value that was read a moment ago.
pub(crate) struct Reading {
    pub(crate) value: SecretString,
    pub(crate) user: Option<String>,
    /// Another one for another value; nothing of it can be told from it.
    pub(crate) revision: String,
}

/// Why there is no value. No part of it is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeeperError {
    /// The operator has said nothing of it.
    #[error("this host reads no credentials from {0}: `soma serve {1}` has it do so")]
    Off(&'static str, &'static str),
    /// A name that is none there.
    #[error("{0}")]
    Name(String),
    /// Nothing is there.
    #[error("there is no {0}")]
    Missing(String),
    /// It is there, and no value.
    #[error("{0} {1}")]
    Unfit(String, &'static str),
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(String, String),
    /// Vault cannot be asked.
    #[error("Vault cannot be asked: {0}")]
    Away(String),
    /// Vault is sealed, or not ready otherwise.
    #[error("Vault is sealed, or not ready (503)")]
    Sealed,
    /// Vault refuses.
    #[error("Vault says no ({0}): {1}")]
    Refused(u16, String),
    /// Vault's answer is not what its API promises.
    #[error("Vault's answer is none: {0}")]
    Answer(&'static str),
    /// It took too long.
    #[error("it was not read within {} s", PATIENCE.as_secs())]
    Late,
}

/// All of them, and what they gave a moment ago. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keepers(Arc<All>);

struct All {
    environment: Option<Environment>,
    files: Option<Files>,
    vault: Option<Vault>,
    /// By tenant and source.
    read: Cache<(String, Source), Found>,
    /// Makes revisions say nothing.
    salt: [u8; 32],
}

#[derive(Clone)]
struct Found {
    reading: Result<Arc<Reading>, KeeperError>,
    good_for: Duration,
}

/// Each is remembered as long as its keeper says.
struct GoodFor;

impl Expiry<(String, Source), Found> for GoodFor {
    fn expire_after_create(
        &self,
        _: &(String, Source),
        found: &Found,
        _: Instant,
    ) -> Option<Duration> {
        Some(found.good_for)
    }

    fn expire_after_update(
        &self,
        _: &(String, Source),
        found: &Found,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(found.good_for)
    }
}

impl Keepers {
    pub(crate) fn new(settings: &KeeperSettings) -> anyhow::Result<Self> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)?;
        let vault = settings.vault.as_ref().map(Vault::new).transpose()?;
        Ok(Self(Arc::new(All {
            environment: settings.environment.clone().map(Environment::new),
            files: settings.files.clone().map(Files::new),
            vault,
            read: Cache::builder()
                .max_capacity(REMEMBERED)
                .expire_after(GoodFor)
                .build(),
            salt,
        })))
    }

    /// The value that is there now, or was a moment ago. Whoever waits for it may go: what a keeper
    /// gave is kept, since some of them give something new each time.
    pub(crate) async fn read(
        &self,
        tenant: &str,
        source: &Source,
    ) -> Result<Arc<Reading>, KeeperError> {
        let key = (tenant.to_owned(), source.clone());
        let all = self.0.clone();
        let (tenant, source) = key.clone();
        let look = Finished::new(async move { all.look(&tenant, &source).await });
        self.0.read.get_with(key, look).await.reading
    }

    /// The same, also where it was in vain a moment ago.
    pub(crate) async fn read_again(
        &self,
        tenant: &str,
        source: &Source,
    ) -> Result<Arc<Reading>, KeeperError> {
        let key = (tenant.to_owned(), source.clone());
        self.0.read.invalidate(&key).await;
        self.read(tenant, source).await
    }

    /// Keeps the host logged in to Vault, for as long as it is polled.
    pub(crate) async fn keep_logged_in(self) {
        if let Some(vault) = &self.0.vault {
            vault.keep_logged_in().await;
        }
    }
}

impl All {
    async fn look(&self, tenant: &str, source: &Source) -> Found {
        let read = match self.keeper(source) {
            Ok(keeper) => tokio::time::timeout(PATIENCE, keeper.read(tenant, source))
                .await
                .unwrap_or(Err(KeeperError::Late)),
            Err(error) => Err(error),
        };
        match read {
            Ok(read) => Found {
                good_for: read.good_for,
                reading: Ok(Arc::new(self.reading(read))),
            },
            Err(error) => {
                tracing::error!(tenant, %source, %error, "a credential is not to be had");
                Found {
                    reading: Err(error),
                    good_for: ALONE,
                }
            }
        }
    }

    fn keeper(&self, source: &Source) -> Result<&dyn Keeper, KeeperError> {
        fn known<'a>(
            keeper: Option<&'a impl Keeper>,
            what: &'static str,
            flag: &'static str,
        ) -> Result<&'a dyn Keeper, KeeperError> {
            keeper
                .map(|keeper| keeper as _)
                .ok_or(KeeperError::Off(what, flag))
        }
        match source {
            Source::Env { .. } => known(
                self.environment.as_ref(),
                "its environment",
                "--secrets-env PREFIX",
            ),
            Source::File { .. } => known(self.files.as_ref(), "files", "--secrets-files DIR"),
            Source::VaultKv { .. } | Source::VaultDatabase { .. } => {
                known(self.vault.as_ref(), "Vault", "--vault-addr URL")
            }
        }
    }

    fn reading(&self, read: Read) -> Reading {
        let Read { value, user, .. } = read;
        let mut hash = Sha256::new_with_prefix(self.salt);
        for part in [user.as_deref().unwrap_or_default(), value.expose_secret()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let revision = hex::encode(hash.finalize());
        Reading {
            value,
            user,
            revision,
        }
    }
}

/// The value in these bytes: a text, without the line break that editors leave at its end.
fn value(what: impl FnOnce() -> String, bytes: &[u8]) -> Result<SecretString, KeeperError> {
    if bytes.len() > MOST_BYTES {
        return Err(KeeperError::Unfit(what(), "has more than 16 KiB"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(KeeperError::Unfit(what(), "is no text in UTF-8"));
    };
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}
