//! The `secrets` table: credentials, sealed, or where they are read.

use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use soma_capability::CredentialName;
use sqlx::any::AnyRow;
use sqlx::{AnyPool, FromRow, Row as _};
use uuid::Uuid;

use super::logs::encoded;
use super::{corrupt, now, optional_json, time};
use crate::keepers::Source;
use crate::secrets::{Kind, Place, Sealer};

/// One credential; its value is sealed, and never shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stored {
    pub(crate) name: CredentialName,
    /// The id of the API key whose calls it is for; none is all of the tenant's others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    /// How it is shown to a server, or what it is exchanged for.
    #[serde(rename = "as")]
    pub(crate) kind: Kind,
    /// Where the value is read; none where it is kept here.
    #[serde(rename = "from", skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Source>,
    /// Empty where there is a source.
    #[serde(skip)]
    pub(crate) sealed: String,
    /// What it was exchanged for.
    #[serde(skip)]
    pub(crate) token: Option<SealedToken>,
    /// Another one with every change.
    #[serde(skip)]
    pub(crate) revision: String,
    pub(crate) set_at: Timestamp,
}

/// What a credential was exchanged for.
#[derive(Clone, Debug)]
pub(crate) struct SealedToken {
    pub(crate) sealed: String,
    pub(crate) ends: Timestamp,
}

/// Of the row of a credential, what is sealed in it and whose it is.
#[derive(Deserialize)]
pub(crate) struct Sealed {
    tenant: String,
    name: CredentialName,
    /// Empty where it is for all keys, and missing from old tables, which know no other.
    #[serde(default)]
    key: String,
    /// Empty where the value is kept elsewhere.
    sealed: String,
    token: Option<String>,
}

/// What is to be kept.
pub(crate) struct New<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) source: Option<&'a Source>,
    pub(crate) sealed: &'a str,
    pub(crate) token: Option<&'a SealedToken>,
}

impl Stored {
    /// Where it is, of a tenant with this id.
    pub(crate) fn place<'a>(&'a self, tenant: &'a str) -> Place<'a> {
        Place {
            tenant,
            name: &self.name,
            key: self.key.as_deref(),
        }
    }

    fn key_text(&self) -> &str {
        self.key.as_deref().unwrap_or_default()
    }
}

impl FromRow<'_, AnyRow> for Stored {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let name: &str = row.try_get("name")?;
        let (token, ends): (Option<String>, Option<i64>) =
            (row.try_get("token")?, row.try_get("token_ends_at")?);
        let ends = ends.map(time).transpose()?;
        let key: &str = row.try_get("key")?;
        Ok(Self {
            name: name.parse().map_err(corrupt)?,
            key: (!key.is_empty()).then(|| key.to_owned()),
            source: optional_json(row, "source")?,
            kind: serde_json::from_str(row.try_get("presentation")?).map_err(corrupt)?,
            sealed: row.try_get("sealed")?,
            token: token
                .zip(ends)
                .map(|(sealed, ends)| SealedToken { sealed, ends }),
            revision: row.try_get("revision")?,
            set_at: time(row.try_get("set_at")?)?,
        })
    }
}

impl Sealed {
    /// Whether anything is sealed in it.
    pub(crate) fn is_any(&self) -> bool {
        !self.sealed.is_empty() || self.token.is_some()
    }

    /// Whether what is sealed in it opens under this key.
    pub(crate) fn opens(&self, sealer: &Sealer) -> bool {
        let place = Place {
            tenant: &self.tenant,
            name: &self.name,
            key: Some(self.key.as_str()).filter(|key| !key.is_empty()),
        };
        sealer.opens(place, &self.sealed, self.token.as_deref())
    }
}

impl FromRow<'_, AnyRow> for Sealed {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let name: &str = row.try_get("name")?;
        Ok(Self {
            tenant: row.try_get("tenant")?,
            name: name.parse().map_err(corrupt)?,
            key: row.try_get("key")?,
            sealed: row.try_get("sealed")?,
            token: row.try_get("token")?,
        })
    }
}

/// Keeps one, in place of the one that is there. None where it is for a key that the tenant does not
/// have, or has no more: the key's row is changed first, so that whoever revokes it waits or is seen.
pub(crate) async fn put(
    pool: &AnyPool,
    place: Place<'_>,
    new: &New<'_>,
) -> sqlx::Result<Option<Stored>> {
    let source = new.source.map(serde_json::to_string).transpose();
    let mut transaction = pool.begin().await?;
    if let Some(key) = place.key {
        let statement = "UPDATE keys SET name = name
             WHERE id = $1 AND tenant = $2 AND revoked_at IS NULL";
        let held = sqlx::query(statement).bind(key).bind(place.tenant);
        if held.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(None);
        }
    }
    let stored = sqlx::query_as(
        "INSERT INTO secrets (tenant, name, key, presentation, source, sealed, revision, set_at,
             token, token_ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant, name, key) DO UPDATE SET presentation = excluded.presentation,
             source = excluded.source, sealed = excluded.sealed, revision = excluded.revision,
             set_at = excluded.set_at, token = excluded.token,
             token_ends_at = excluded.token_ends_at, turn_until = NULL
         RETURNING name, key, presentation, source, sealed, revision, set_at, token, token_ends_at",
    )
    .bind(place.tenant)
    .bind(place.name.to_string())
    .bind(place.key.unwrap_or_default())
    .bind(serde_json::to_string(new.kind).map_err(encoded)?)
    .bind(source.map_err(encoded)?)
    .bind(new.sealed)
    .bind(Uuid::now_v7().to_string())
    .bind(now())
    .bind(new.token.map(|token| token.sealed.clone()))
    .bind(new.token.map(|token| token.ends.as_millisecond()))
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(stored))
}

/// Takes the turn to exchange it, for so many milliseconds. False where another host has it, or it
/// is not what it was.
pub(crate) async fn take_turn(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
    ms: i64,
) -> sqlx::Result<bool> {
    let now = now();
    let done = sqlx::query(
        "UPDATE secrets SET turn_until = $1
         WHERE tenant = $2 AND name = $3 AND revision = $4 AND key = $5
             AND (turn_until IS NULL OR turn_until < $6)",
    )
    .bind(now + ms)
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .bind(stored.key_text())
    .bind(now)
    .execute(pool)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends the turn: keeps what it was exchanged for, and what is to be exchanged the next time.
/// Nothing where somebody has set it anew meanwhile.
pub(crate) async fn end_turn(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
    new: &New<'_>,
) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "UPDATE secrets SET sealed = $1, token = $2, token_ends_at = $3, revision = $4,
             turn_until = NULL
         WHERE tenant = $5 AND name = $6 AND revision = $7 AND key = $8
         RETURNING name, key, presentation, source, sealed, revision, set_at, token, token_ends_at",
    )
    .bind(new.sealed)
    .bind(new.token.map(|token| token.sealed.clone()))
    .bind(new.token.map(|token| token.ends.as_millisecond()))
    .bind(Uuid::now_v7().to_string())
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .bind(stored.key_text())
    .fetch_optional(pool)
    .await
}

/// Ends the turn without anything to keep.
pub(crate) async fn give_turn_back(
    pool: &AnyPool,
    tenant: &str,
    stored: &Stored,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE secrets SET turn_until = NULL
         WHERE tenant = $1 AND name = $2 AND revision = $3 AND key = $4",
    )
    .bind(tenant)
    .bind(stored.name.to_string())
    .bind(&stored.revision)
    .bind(stored.key_text())
    .execute(pool)
    .await?;
    Ok(())
}

/// The one of this place alone.
pub(crate) async fn get(pool: &AnyPool, place: Place<'_>) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "SELECT name, key, presentation, source, sealed, revision, set_at, token, token_ends_at
         FROM secrets WHERE tenant = $1 AND name = $2 AND key = $3",
    )
    .bind(place.tenant)
    .bind(place.name.to_string())
    .bind(place.key.unwrap_or_default())
    .fetch_optional(pool)
    .await
}

/// The key's own one, or else the tenant's. None for a key that was revoked: its own one went with it,
/// and its last call is not to be made with everybody's instead.
pub(crate) async fn that_holds(pool: &AnyPool, place: Place<'_>) -> sqlx::Result<Option<Stored>> {
    sqlx::query_as(
        "SELECT name, key, presentation, source, sealed, revision, set_at, token, token_ends_at
         FROM secrets WHERE tenant = $1 AND name = $2 AND key IN ('', $3)
             AND ($3 = '' OR EXISTS
                 (SELECT 1 FROM keys WHERE keys.id = $3 AND keys.revoked_at IS NULL))
         ORDER BY CASE key WHEN '' THEN 1 ELSE 0 END LIMIT 1",
    )
    .bind(place.tenant)
    .bind(place.name.to_string())
    .bind(place.key.unwrap_or_default())
    .fetch_optional(pool)
    .await
}

pub(crate) async fn list(pool: &AnyPool, tenant: &str) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as(
        "SELECT name, key, presentation, source, sealed, revision, set_at, token, token_ends_at
         FROM secrets WHERE tenant = $1 ORDER BY name, key",
    )
    .bind(tenant)
    .fetch_all(pool)
    .await
}

/// What is sealed of all tenants' credentials, as far as it is read.
pub(crate) fn sealed(pool: &AnyPool) -> BoxStream<'_, sqlx::Result<Sealed>> {
    sqlx::query_as(
        "SELECT tenant, name, key, sealed, token FROM secrets
         WHERE sealed <> '' OR token IS NOT NULL",
    )
    .fetch(pool)
}

/// False where there was none.
pub(crate) async fn delete(pool: &AnyPool, place: Place<'_>) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM secrets WHERE tenant = $1 AND name = $2 AND key = $3")
        .bind(place.tenant)
        .bind(place.name.to_string())
        .bind(place.key.unwrap_or_default())
        .execute(pool)
        .await?;
    Ok(done.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use soma_runtime::Presentation;

    use super::*;
    use crate::db::{self, keys};

    #[tokio::test]
    async fn a_revoked_key_has_nothing_of_its_tenants() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/soma.db?mode=rwc", folder.path().display());
        let pool = db::open(&url).await.unwrap();
        for statement in [
            "INSERT INTO tenants (id, name, created_at) VALUES ('t', 't', 0)",
            "INSERT INTO keys (id, tenant, name, secret_sha256, scopes, created_at)
             VALUES ('ada', 't', '', '', '', 0), ('bob', 't', '', '', '', 0)",
        ] {
            sqlx::query(statement).execute(&pool).await.unwrap();
        }
        let name: CredentialName = "api".parse().unwrap();
        let place = |key: Option<&'static str>| Place {
            tenant: "t",
            name: &name,
            key,
        };
        let kind = Kind::Shown(Presentation::Bearer);
        for (key, sealed) in [(None, "of all"), (Some("ada"), "of ada")] {
            let new = New {
                kind: &kind,
                source: None,
                sealed,
                token: None,
            };
            put(&pool, place(key), &new).await.unwrap().unwrap();
        }
        let sealed = async |key: Option<&'static str>| {
            let found = that_holds(&pool, place(key)).await.unwrap();
            found.map(|found| found.sealed)
        };
        let of_all = Some("of all".to_owned());
        assert_eq!(sealed(Some("ada")).await, Some("of ada".to_owned()));
        assert_eq!(sealed(Some("bob")).await, of_all);
        for key in ["ada", "bob"] {
            keys::revoke(&pool, key).await.unwrap();
            assert_eq!(sealed(Some(key)).await, None, "{key}");
        }
        assert_eq!(sealed(None).await, of_all);
        pool.close().await;
    }
}
