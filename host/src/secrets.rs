//! Credentials: sealed at rest, opened for the calls that they accompany, and exchanged for tokens
//! where that is what servers want.

mod kind;
mod mint;
mod seal;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use soma_capability::{CredentialName, Grant};
use soma_runtime::{Credential, Presentation};
use sqlx::AnyPool;

pub(crate) use self::kind::{Exchange, Kind};
use self::mint::{Mint, Token};
use self::seal::Part;
pub(crate) use self::seal::{Sealer, Unsealed};
use crate::believed::Believed;
use crate::db::secrets::{self, New, SealedToken, Stored};
use crate::error::Error;

/// How long a token must be good for: longer than most calls.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);
/// How long a host may take to exchange a credential, before another one tries.
const TURN: Duration = Duration::from_secs(15);
/// How often it is looked whether another host has done it.
const LOOK: Duration = Duration::from_millis(100);

/// All credentials, most of the time without the database.
pub(crate) struct Secrets {
    pool: AnyPool,
    sealer: Sealer,
    mint: Mint,
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
        Ok(Self {
            pool,
            sealer,
            mint: Mint::new()?,
            opened: Believed::new(),
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
                how.check().map_err(Error::BadRequest)?;
                let token = self.mint.exchange(how, &value).await;
                let token = token.map_err(|error| Error::BadRequest(error.to_string()))?;
                let next = token.next.clone();
                (
                    next.unwrap_or(value),
                    Some(self.sealed(tenant, name, &token)?),
                )
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
                self::opened(presentation, value, stored)?
            }
            Kind::Exchanged(how) => self.exchanged(tenant, stored, &how).await?,
        };
        Ok(Some(Arc::new(opened)))
    }

    /// With a token that is good for a while: the one that is kept, or a new one.
    async fn exchanged(
        &self,
        tenant: &str,
        mut stored: Stored,
        how: &Exchange,
    ) -> Result<Opened, Error> {
        let name = stored.name.clone();
        let end =
            Timestamp::now().saturating_add(SignedDuration::try_from(TURN).unwrap_or_default());
        let end = end.unwrap_or(Timestamp::MAX);
        loop {
            if let Some(token) = &stored.token
                && is_good(token)
            {
                let token = self
                    .sealer
                    .open(Part::Token, tenant, &name, &token.sealed)?;
                return opened(Presentation::Bearer, token, stored);
            }
            let turn = i64::try_from(TURN.as_millis()).unwrap_or(i64::MAX);
            if secrets::take_turn(&self.pool, tenant, &stored, turn).await? {
                return self.exchange(tenant, stored, how).await;
            }
            if Timestamp::now() > end {
                return Ok(unavailable(stored));
            }
            tokio::time::sleep(LOOK).await;
            match secrets::get(&self.pool, tenant, &name).await? {
                Some(now) => stored = now,
                None => return Ok(unavailable(stored)),
            }
        }
    }

    /// Exchanges it. Where that fails, the last token serves as long as it is one, and it is tried
    /// again for a call that comes later.
    async fn exchange(
        &self,
        tenant: &str,
        stored: Stored,
        how: &Exchange,
    ) -> Result<Opened, Error> {
        let name = &stored.name;
        let value = self
            .sealer
            .open(Part::Value, tenant, name, &stored.sealed)?;
        let token = self.mint.exchange(how, &value).await;
        let token = token.inspect_err(|error| {
            tracing::error!(%name, %error, "a credential is not exchanged for a token");
        });
        let Ok(token) = token else {
            let new = New {
                kind: &stored.kind,
                sealed: &stored.sealed,
                token: stored.token.as_ref(),
            };
            secrets::end_turn(&self.pool, tenant, &stored, &new).await?;
            return self.last(tenant, stored);
        };
        let next = token.next.as_ref();
        let next = next.map(|next| self.sealer.seal(Part::Value, tenant, name, next));
        let new = New {
            kind: &stored.kind,
            sealed: &next.transpose()?.unwrap_or_else(|| stored.sealed.clone()),
            token: Some(&self.sealed(tenant, name, &token)?),
        };
        match secrets::end_turn(&self.pool, tenant, &stored, &new).await? {
            Some(kept) => opened(Presentation::Bearer, token.value, kept),
            None => Ok(unavailable(stored)),
        }
    }

    fn last(&self, tenant: &str, stored: Stored) -> Result<Opened, Error> {
        match &stored.token {
            Some(token) if token.ends > Timestamp::now() => {
                let name = &stored.name;
                let token = self.sealer.open(Part::Token, tenant, name, &token.sealed)?;
                opened(Presentation::Bearer, token, stored)
            }
            _ => Ok(unavailable(stored)),
        }
    }

    fn sealed(
        &self,
        tenant: &str,
        name: &CredentialName,
        token: &Token,
    ) -> Result<SealedToken, Error> {
        Ok(SealedToken {
            sealed: self.sealer.seal(Part::Token, tenant, name, &token.value)?,
            ends: token.ends,
        })
    }
}

fn is_good(token: &SealedToken) -> bool {
    token.ends.duration_since(Timestamp::now()) > GOOD_FOR
}

fn opened(
    presentation: Presentation,
    value: SecretString,
    stored: Stored,
) -> Result<Opened, Error> {
    let credential = Credential::new(presentation, value);
    let credential = credential.map_err(|_| Error::Secret(Unsealed::Damaged(stored.name)))?;
    Ok(Opened {
        credential: Some(credential),
        revision: stored.revision,
    })
}

fn unavailable(stored: Stored) -> Opened {
    Opened {
        credential: None,
        revision: stored.revision,
    }
}
