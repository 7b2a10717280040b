//! The keys by which the machine's own user reaches a host on loopback: an admin key and one that
//! can only call, in files that only the owner can read.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use soma_registry::owner_only;
use sqlx::AnyPool;

use crate::db::keys::{self, Key};
use crate::db::tenants::{self, Tenant};
use crate::key::{ApiKey, Scopes};

/// The tenant that a host has from its first start.
pub const DEFAULT_TENANT: &str = "default";

/// Makes the default tenant and both keys, where they are missing. A key whose file and row
/// differ is made anew; one that was revoked stays revoked.
pub(crate) async fn provide(pool: &AnyPool, folder: &Path) -> anyhow::Result<()> {
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
            write(&path, &create(pool, &tenant, name, scopes).await?)?;
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
    let Ok(key) = text.trim().parse::<ApiKey>() else {
        return Ok(false);
    };
    let stored = keys::by_id(pool, key.id()).await?;
    Ok(stored.is_some_and(|stored| {
        stored.key.revoked_at.is_some() || stored.secret.matches(&key.hash())
    }))
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
