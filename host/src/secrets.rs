//! Credentials: sealed at rest, opened for the calls that they accompany, and exchanged for tokens
//! where that is what servers want.

mod kind;
mod mint;
mod seal;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use soma_capability::{CredentialName, Grant};
use soma_runtime::{Credential, Presentation};
use sqlx::AnyPool;

pub(crate) use self::kind::Kind;
use self::seal::Part;
pub(crate) use self::seal::{Sealer, Unsealed};
use self::tokens::Tokens;
use crate::believed::Believed;
use crate::db::secrets::{self, New, Stored};
use crate::error::Error;

/// All credentials, most of the time without the database.
pub(crate) struct Secrets {
    pool: AnyPool,
    sealer: Arc<Sealer>,
    tokens: Arc<Tokens>,
    opened: Believed<(String, CredentialName), Option<Arc<Opened>>>,
}

/// A credential in use.
struct Opened {
    /// None where it could not be exchanged just now.
    credential: Option<Credential>,
    /// Another one with every change.
    revision: String,
}

/// What the credentials of a grant stand for at this moment.
#[derive(Default)]
pub(crate) struct Accompanying {
    pub(crate) credentials: BTreeMap<CredentialName, Credential>,
    /// Another one with every change of any of them.
    pub(crate) revision: String,
}

impl Secrets {
    pub(crate) fn new(pool: AnyPool, sealer: Sealer) -> anyhow::Result<Self> {
        let sealer = Arc::new(sealer);
        let tokens = Arc::new(Tokens::new(pool.clone(), sealer.clone())?);
        let opened = Believed::new();
        Ok(Self {
            pool,
            sealer,
            tokens,
            opened,
        })
    }

    /// Keeps a value, in place of the one before. One that is to be exchanged is exchanged at once,
    /// so that what is wrong with it is said to whoever can mend it.
    pub(crate) async fn set(
        &self,
        tenant: &str,
        name: &CredentialName,
        kind: Kind,
        value: SecretString,
    ) -> Result<Stored, Error> {
        let (value, token) = match &kind {
            Kind::Shown(presentation) => {
                let credential = Credential::new(presentation.clone(), value.clone());
                credential.map_err(|error| Error::BadRequest(error.to_string()))?;
                (value, None)
            }
            Kind::Exchanged(how) => {
                let (token, value) = self.tokens.first(tenant, name, how, value).await?;
                (value, Some(token))
            }
        };
        let new = New {
            kind: &kind,
            sealed: &self.sealer.seal(Part::Value, tenant, name, &value)?,
            token: token.as_ref(),
        };
        let stored = secrets::put(&self.pool, tenant, name, &new).await;
        self.opened.forget();
        Ok(stored?)
    }

    /// Forgets a value for good. False where there was none.
    pub(crate) async fn remove(&self, tenant: &str, name: &CredentialName) -> Result<bool, Error> {
        let deleted = secrets::delete(&self.pool, tenant, name).await;
        self.opened.forget();
        Ok(deleted?)
    }

    /// What a grant's credentials stand for; those that are not to be had are left out.
    pub(crate) async fn of(&self, tenant: &str, grant: &Grant) -> Result<Accompanying, Error> {
        let mut all = Accompanying::default();
        let entries = grant.http.iter().chain(&grant.links);
        let named = entries.flat_map(|entry| [&entry.credential, &entry.client_certificate]);
        for name in named.flatten() {
            if all.credentials.contains_key(name) {
                continue;
            }
            let key = (tenant.to_owned(), name.clone());
            let found = self.opened.get(&key, || self.open(tenant, name)).await?;
            let Some(opened) = found else {
                continue;
            };
            if let Some(credential) = &opened.credential {
                all.credentials.insert(name.clone(), credential.clone());
                all.revision.push_str(&opened.revision);
            }
        }
        Ok(all)
    }

    async fn open(
        &self,
        tenant: &str,
        name: &CredentialName,
    ) -> Result<Option<Arc<Opened>>, Error> {
        let Some(stored) = secrets::get(&self.pool, tenant, name).await? else {
            return Ok(None);
        };
        let opened = match stored.kind.clone() {
            Kind::Shown(presentation) => {
                let value = self
                    .sealer
                    .open(Part::Value, tenant, name, &stored.sealed)?;
                Opened::of(presentation, value, stored)?
            }
            Kind::Exchanged(how) => self.tokens.open(tenant, stored, &how).await?,
        };
        Ok(Some(Arc::new(opened)))
    }
}

impl Opened {
    fn of(presentation: Presentation, value: SecretString, stored: Stored) -> Result<Self, Error> {
        let credential = Credential::new(presentation, value);
        let credential = credential.map_err(|_| Error::Secret(Unsealed::Damaged(stored.name)))?;
        Ok(Self {
            credential: Some(credential),
            revision: stored.revision,
        })
    }

    fn unavailable(stored: Stored) -> Self {
        Self {
            credential: None,
            revision: stored.revision,
        }
    }
}
