//! Credentials: sealed at rest or read where they are kept, opened for the calls that they accompany,
//! and exchanged for tokens where that is what servers want.

mod fits;
mod kind;
mod mint;
mod seal;
mod tokens;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::SecretString;
use soma_capability::{CredentialName, Grant};
use soma_runtime::{Credential, Presentation};
use sqlx::AnyPool;

use self::seal::Part;
use self::tokens::Tokens;
use self::values::{Value, Values};
use crate::believed::Believed;
use crate::db::secrets::{self, New, Stored};
use crate::error::Error;
use crate::keepers::{Keepers, Source};

pub(crate) use self::fits::check_key;
pub(crate) use self::kind::{Kind, check_url};
pub(crate) use self::seal::{Place, Sealer, Unsealed};

/// All credentials, most of the time without the database.
pub(crate) struct Secrets {
    pool: AnyPool,
    values: Arc<Values>,
    tokens: Arc<Tokens>,
    /// By tenant, name and key.
    opened: Believed<(String, CredentialName, Option<String>), Option<Arc<Opened>>>,
}

/// Whose credential is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) tenant_id: &'a str,
    /// The tenant's name.
    pub(crate) tenant: &'a str,
    /// The id of the API key that a call comes with, which may have a credential of its own; none is
    /// what the tenant's have together.
    pub(crate) key: Option<&'a str>,
}

/// What a credential is to be.
pub(crate) enum Content {
    /// This value, kept here.
    Value(SecretString),
    /// What is there whenever it is needed.
    From(Source),
}

/// A credential in use.
struct Opened {
    /// None where it could not be exchanged, or read, just now.
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

impl<'a> Whose<'a> {
    pub(crate) fn place(self, name: &'a CredentialName) -> Place<'a> {
        Place {
            tenant: self.tenant_id,
            name,
            key: self.key,
        }
    }
}

impl Secrets {
    pub(crate) fn new(pool: AnyPool, sealer: Sealer, keepers: Keepers) -> anyhow::Result<Self> {
        let values = Arc::new(Values { sealer, keepers });
        let tokens = Arc::new(Tokens::new(pool.clone(), values.clone())?);
        let opened = Believed::new();
        Ok(Self {
            pool,
            values,
            tokens,
            opened,
        })
    }

    /// Keeps a credential, in place of the one before. One that is to be exchanged is exchanged at
    /// once, and one that is read elsewhere is read, so that what is wrong with it is said to whoever
    /// can mend it. None where it is for a key that the tenant does not have.
    pub(crate) async fn set(
        &self,
        whose: Whose<'_>,
        name: &CredentialName,
        kind: Kind,
        content: Content,
    ) -> Result<Option<Stored>, Error> {
        let place = whose.place(name);
        let (value, source) = match content {
            Content::Value(text) => (text, None),
            Content::From(source) => {
                let value = self.first(whose, &kind, &source).await?;
                (value, Some(source))
            }
        };
        let (value, token) = match &kind {
            Kind::Shown(presentation) => {
                let credential = Credential::new(presentation.clone(), value.clone());
                credential.map_err(|error| Error::BadRequest(error.to_string()))?;
                (value, None)
            }
            Kind::Exchanged(how) => {
                let (token, value) = self.tokens.first(place, how, value).await?;
                (value, Some(token))
            }
        };
        let sealed = match &source {
            None => self.values.sealer.seal(Part::Value, place, &value)?,
            Some(_) => String::new(),
        };
        let new = New {
            kind: &kind,
            source: source.as_ref(),
            sealed: &sealed,
            token: token.as_ref(),
        };
        let stored = secrets::put(&self.pool, place, &new).await;
        self.opened.forget();
        Ok(stored?)
    }

    /// What a source gives now.
    async fn first(
        &self,
        whose: Whose<'_>,
        kind: &Kind,
        source: &Source,
    ) -> Result<SecretString, Error> {
        values::check(source, kind).map_err(Error::BadRequest)?;
        let keepers = &self.values.keepers;
        let reading = keepers.read_again(whose.tenant, source).await;
        let reading = reading.map_err(|error| Error::BadRequest(error.to_string()))?;
        Ok(reading.value.clone())
    }

    /// Forgets a value for good. False where there was none.
    pub(crate) async fn remove(
        &self,
        whose: Whose<'_>,
        name: &CredentialName,
    ) -> Result<bool, Error> {
        let deleted = secrets::delete(&self.pool, whose.place(name)).await;
        self.opened.forget();
        Ok(deleted?)
    }

    /// Forgets what is remembered of all of them, because a key that may have some has gone.
    pub(crate) fn forget(&self) {
        self.opened.forget();
    }

    /// What a grant's credentials stand for; those that are not to be had are left out.
    pub(crate) async fn of(&self, whose: Whose<'_>, grant: &Grant) -> Result<Accompanying, Error> {
        let mut all = Accompanying::default();
        for name in named(grant) {
            let key = whose.key.map(str::to_owned);
            let key = (whose.tenant_id.to_owned(), name.clone(), key);
            let found = self.opened.get(&key, || self.open(whose, name)).await?;
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

    /// Of the credentials that a grant names, those of which neither the tenant with this id nor any
    /// of its keys has a value.
    pub(crate) async fn unset(
        &self,
        tenant: &str,
        grant: &Grant,
    ) -> Result<BTreeSet<CredentialName>, Error> {
        let mut unset: BTreeSet<CredentialName> = named(grant).into_iter().cloned().collect();
        if !unset.is_empty() {
            for stored in secrets::list(&self.pool, tenant).await? {
                unset.remove(&stored.name);
            }
        }
        Ok(unset)
    }

    async fn open(
        &self,
        whose: Whose<'_>,
        name: &CredentialName,
    ) -> Result<Option<Arc<Opened>>, Error> {
        let found = secrets::that_holds(&self.pool, whose.place(name)).await?;
        let Some(stored) = found else {
            return Ok(None);
        };
        let opened = match stored.kind.clone() {
            Kind::Shown(presentation) => match self.values.of(whose, &stored).await? {
                Some(value) => Opened::now(presentation, value, &stored)?,
                None => Opened::unavailable(stored),
            },
            Kind::Exchanged(how) => self.tokens.open(whose, stored, &how).await?,
        };
        Ok(Some(Arc::new(opened)))
    }
}

/// The credentials that a grant names.
fn named(grant: &Grant) -> BTreeSet<&CredentialName> {
    let entries = grant.http.iter().chain(&grant.links);
    let named = entries.flat_map(|entry| [&entry.credential, &entry.client_certificate]);
    named.flatten().collect()
}

impl Opened {
    fn of(presentation: Presentation, value: SecretString, stored: &Stored) -> Result<Self, Error> {
        let credential = Credential::new(presentation, value);
        let damaged = |_| Error::Secret(Unsealed::Damaged(stored.name.clone()));
        Ok(Self {
            credential: Some(credential.map_err(damaged)?),
            revision: stored.revision.clone(),
        })
    }

    /// With the value of this moment, which need not fit where it comes from outside.
    fn now(presentation: Presentation, value: Value, stored: &Stored) -> Result<Self, Error> {
        let presentation = value.presentation(presentation);
        let Some(source) = &stored.source else {
            return Self::of(presentation, value.text, stored);
        };
        let credential = Credential::new(presentation, value.text);
        let credential = credential.inspect_err(|error| {
            tracing::error!(name = %stored.name, %source, %error, "a credential cannot be shown");
        });
        Ok(Self {
            credential: credential.ok(),
            revision: value.revision,
        })
    }

    fn unavailable(stored: Stored) -> Self {
        Self {
            credential: None,
            revision: stored.revision,
        }
    }
}
