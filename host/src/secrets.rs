//! Credentials: sealed at rest, opened for the calls that they accompany.

mod seal;

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use soma_capability::{CredentialName, Grant};
use soma_runtime::{Credential, CredentialError, Presentation};
use sqlx::AnyPool;

pub(crate) use self::seal::{Sealer, Unsealed};

use crate::believed::Believed;
use crate::db::secrets::{self, Stored};
use crate::error::Error;

/// All credentials, most of the time without the database.
pub(crate) struct Secrets {
    pool: AnyPool,
    sealer: Sealer,
    opened: Believed<(String, CredentialName), Option<Arc<Opened>>>,
}

/// A credential in use.
struct Opened {
    credential: Credential,
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
    pub(crate) fn new(pool: AnyPool, sealer: Sealer) -> Self {
        let opened = Believed::new();
        Self {
            pool,
            sealer,
            opened,
        }
    }

    /// Keeps a value, in place of the one before.
    pub(crate) async fn set(
        &self,
        tenant: &str,
        name: &CredentialName,
        presentation: Presentation,
        value: SecretString,
    ) -> Result<Stored, Error> {
        let refused = |error: CredentialError| Error::BadRequest(error.to_string());
        Credential::new(presentation.clone(), value.clone()).map_err(refused)?;
        let sealed = self.sealer.seal(tenant, name, &value)?;
        let stored = secrets::put(&self.pool, tenant, name, &presentation, &sealed).await;
        self.opened.forget();
        Ok(stored?)
    }

    /// Forgets a value for good. False where there was none.
    pub(crate) async fn remove(&self, tenant: &str, name: &CredentialName) -> Result<bool, Error> {
        let deleted = secrets::delete(&self.pool, tenant, name).await;
        self.opened.forget();
        Ok(deleted?)
    }

    /// What a grant's credentials stand for; those that are not set are left out.
    pub(crate) async fn of(&self, tenant: &str, grant: &Grant) -> Result<Accompanying, Error> {
        let mut all = Accompanying::default();
        for name in grant
            .http
            .iter()
            .filter_map(|entry| entry.credential.as_ref())
        {
            if all.credentials.contains_key(name) {
                continue;
            }
            let key = (tenant.to_owned(), name.clone());
            let found = self.opened.get(&key, || self.open(tenant, name)).await?;
            if let Some(opened) = found {
                let credential = opened.credential.clone();
                all.credentials.insert(name.clone(), credential);
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
        let Some(Stored {
            presentation,
            sealed,
            revision,
            ..
        }) = secrets::get(&self.pool, tenant, name).await?
        else {
            return Ok(None);
        };
        let value = self.sealer.open(tenant, name, &sealed)?;
        let credential = Credential::new(presentation, value);
        let credential = credential.map_err(|_| Error::Secret(Unsealed::Damaged(name.clone())))?;
        Ok(Some(Arc::new(Opened {
            credential,
            revision,
        })))
    }
}
