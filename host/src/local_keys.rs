//! The keys by which the machine's own user reaches a host on loopback: an admin key and one that
//! can only call, in files that only the owner can read. The command line can put one under a
//! passphrase, which the host never learns.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use jiff::Timestamp;
use soma_registry::owner_only;
use sqlx::AnyPool;

use crate::audit::{Audit, Entry, Event};
use crate::db::keys::{self, Key};
use crate::db::tenants::{self, Tenant};
use crate::key::{ApiKey, KeyError, PREFIX, Scopes, is_id};

/// What the first line of a file has after the key's id, where the key is under a passphrase.
const SEALED: &str = "_sealed";

/// The tenant that a host has from its first start.
pub const DEFAULT_TENANT: &str = "default";

/// What is in a key's file.
#[derive(Clone, Debug)]
pub enum KeptKey {
    /// The key as it is.
    Open(ApiKey),
    /// The key under a passphrase.
    Sealed(SealedKey),
}

/// A key that only a passphrase opens: in its file the line `soma_<id>_sealed`, and after it an
/// armoured age file (<https://age-encryption.org/v1>) of the key.
#[derive(Clone, Debug)]
pub struct SealedKey {
    id: String,
    armored: String,
}

impl KeptKey {
    /// The public part.
    pub fn id(&self) -> &str {
        match self {
            Self::Open(key) => key.id(),
            Self::Sealed(key) => key.id(),
        }
    }
}

impl FromStr for KeptKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let Some((first, armored)) = text.split_once('\n') else {
            return text.trim().parse().map(Self::Open);
        };
        let id = first.strip_prefix(PREFIX);
        let id = id.and_then(|rest| rest.trim_end().strip_suffix(SEALED));
        match id {
            Some(id) if is_id(id) => Ok(Self::Sealed(SealedKey {
                id: id.to_owned(),
                armored: armored.to_owned(),
            })),
            _ => text.trim().parse().map(Self::Open),
        }
    }
}

impl SealedKey {
    /// The key of this id, sealed by the caller.
    pub fn new(id: &str, armored: String) -> Self {
        let id = id.to_owned();
        Self { id, armored }
    }

    /// The public part, as the file says.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// For the passphrase to be tried on.
    pub fn armored(&self) -> &str {
        &self.armored
    }
}

impl fmt::Display for SealedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, armored } = self;
        write!(f, "{PREFIX}{id}{SEALED}\n{armored}")
    }
}

/// Makes the default tenant and both keys, where they are missing. A key whose file and row
/// differ is made anew; one that was revoked stays revoked. That one is made is recorded before
/// anybody has it.
pub(crate) async fn provide(pool: &AnyPool, folder: &Path, audit: &Audit) -> anyhow::Result<()> {
    let tenant = match tenants::by_name(pool, DEFAULT_TENANT).await? {
        Some(tenant) => tenant,
        None => tenants::insert(pool, DEFAULT_TENANT).await?,
    };
    owner_only::folder(folder)?;
    for (file, name, scopes) in [
        ("admin.key", "local admin", Scopes::ALL),
        ("invoke.key", "local invoke", Scopes::INVOKE),
    ] {
        let path = folder.join(file);
        if !is_current(pool, &path).await? {
            let key = create(pool, &tenant, name, scopes).await?;
            let (id, of) = (key.id().to_owned(), tenant.name.clone());
            let made = Entry::by_host(None, Event::KeyCreated { id, of });
            audit.record(&made).await?;
            write(&path, &key)?;
        }
    }
    Ok(())
}

async fn is_current(pool: &AnyPool, path: &Path) -> anyhow::Result<bool> {
    if path.exists() {
        owner_only::file(path)?;
    }
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    let Ok(key) = text.parse::<KeptKey>() else {
        return Ok(false);
    };
    let stored = keys::by_id(pool, key.id()).await?;
    match (key, stored) {
        // Whoever put it under a passphrase wants no other in its place that is under none.
        (KeptKey::Sealed(_), None) => bail!(
            "{} has a key under a passphrase that this database does not know: start with its own \
             database, or move the file away, and a new key is made",
            path.display()
        ),
        (KeptKey::Sealed(_), Some(_)) => Ok(true),
        (KeptKey::Open(key), stored) => Ok(stored.is_some_and(|stored| {
            stored.key.revoked_at.is_some() || stored.secret.matches(&key.hash())
        })),
    }
}

async fn create(
    pool: &AnyPool,
    tenant: &Tenant,
    name: &str,
    scopes: Scopes,
) -> anyhow::Result<ApiKey> {
    let secret = ApiKey::generate(None)?;
    let key = Key {
        id: secret.id().to_owned(),
        tenant: tenant.name.clone(),
        name: name.to_owned(),
        scopes,
        tools: None,
        narrowed: None,
        max_tokens: None,
        calls_per_minute: None,
        created_at: Timestamp::now(),
        expires_at: None,
        revoked_at: None,
    };
    keys::insert(pool, &tenant.id, &key, &secret.hash()).await?;
    Ok(secret)
}

/// Puts a key into its file: owner-only from its first byte on, and there as a whole or not at all.
pub fn write(path: &Path, key: &ApiKey) -> io::Result<()> {
    owner_only::replace(path, format!("{}\n", key.expose()).as_bytes())
}
