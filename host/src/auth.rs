//! Who is asking: `Authorization: Bearer soma_…` → [`Caller`].

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use soma_capability::{CapsuleName, Grant};
use sqlx::AnyPool;

use crate::app::AppState;
use crate::believed::Believed;
use crate::db::keys::{self, StoredKey};
use crate::error::Error;
use crate::key::{ApiKey, Scope, SecretHash};
use crate::secrets::Whose;

/// Checks keys, most of the time without the database.
pub(crate) struct Keyring {
    pool: AnyPool,
    keys: Believed<String, Option<Arc<StoredKey>>>,
}

/// Whoever holds a valid key.
#[derive(Clone)]
pub(crate) struct Caller(Arc<StoredKey>);

/// Whoever holds a key with the scope `admin`: asked before the body is read.
pub(crate) struct Admin(pub(crate) Caller);

impl Keyring {
    pub(crate) fn new(pool: AnyPool) -> Self {
        let keys = Believed::new();
        Self { pool, keys }
    }

    /// The holder of the key in these headers.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, Error> {
        let key = key_in(headers)?;
        self.holder(key.id(), &key.hash()).await
    }

    /// The same caller, some time after: a key that was revoked or replaced meanwhile opens nothing
    /// more.
    pub(crate) async fn again(&self, caller: &Caller) -> Result<Caller, Error> {
        self.holder(caller.key_id(), &caller.0.secret).await
    }

    async fn holder(&self, id: &str, secret: &SecretHash) -> Result<Caller, Error> {
        let unknown = Error::Unauthorized("this key is not known here, or no longer");
        let look_up = || async { Ok(keys::by_id(&self.pool, id).await?.map(Arc::new)) };
        let Some(stored) = self.keys.get(id, look_up).await? else {
            return Err(unknown);
        };
        // One answer for all three, so that an id alone tells nothing.
        let expired = stored
            .key
            .expires_at
            .is_some_and(|end| end <= Timestamp::now());
        if !stored.secret.matches(secret) || stored.key.revoked_at.is_some() || expired {
            return Err(unknown);
        }
        if stored.tenant_suspended {
            return Err(Error::TenantSuspended(stored.key.tenant.clone()));
        }
        Ok(Caller(stored))
    }

    /// Goes on where whoever sends this request, as far as anybody has asked, may go on: a body can take
    /// its time, and a key be revoked meanwhile.
    pub(crate) async fn still_holds(&self, sender: Option<Caller>) -> Result<(), Error> {
        match sender {
            Some(caller) => self.again(&caller).await.map(drop),
            None => Ok(()),
        }
    }

    /// Forgets all keys, because one or its tenant has changed.
    pub(crate) fn forget(&self) {
        self.keys.forget();
    }
}

fn key_in(headers: &HeaderMap) -> Result<ApiKey, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Error::Unauthorized(
            "send one header `Authorization: Bearer soma_…`",
        ));
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token
        .and_then(|token| token.parse().ok())
        .ok_or(Error::Unauthorized(
            "the Authorization header is not `Bearer soma_…`",
        ))
}

impl Caller {
    /// The id of the tenant, which owns what the caller sees.
    pub(crate) fn tenant_id(&self) -> &str {
        &self.0.tenant_id
    }

    /// The name of the tenant.
    pub(crate) fn tenant(&self) -> &str {
        &self.0.key.tenant
    }

    /// The public part of the key.
    pub(crate) fn key_id(&self) -> &str {
        &self.0.key.id
    }

    /// Whose credentials accompany what it calls.
    pub(crate) fn whose(&self) -> Whose<'_> {
        Whose {
            tenant_id: self.tenant_id(),
            tenant: self.tenant(),
            key: Some(self.key_id()),
        }
    }

    /// Goes on where the key has this scope.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), Error> {
        if self.0.key.scopes.has(scope) {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "this key does not have the scope `{scope}`"
        )))
    }

    /// Goes on where the key may call this tool.
    pub(crate) fn require_tool(&self, capsule: &CapsuleName, tool: &str) -> Result<(), Error> {
        self.require(Scope::Invoke)?;
        if self.may_call(capsule, tool) {
            return Ok(());
        }
        Err(Error::Forbidden(
            "this key's tool list does not have that tool".to_owned(),
        ))
    }

    /// What the key may use of a capsule's grant, where that is not all of it.
    pub(crate) fn narrowed(&self, capsule: &CapsuleName) -> Option<&Grant> {
        self.0.key.narrowed.as_ref()?.of(capsule)
    }

    /// Tokens that its calls may cost at most, where they do not say so themselves.
    pub(crate) fn max_tokens(&self) -> Option<u64> {
        self.0.key.max_tokens
    }

    /// Calls that it may make in a minute, where it has a bound of its own.
    pub(crate) fn calls_per_minute(&self) -> Option<NonZeroU32> {
        self.0.key.calls_per_minute
    }

    /// Whether the key's list of tools, where it has one, has this tool.
    pub(crate) fn may_call(&self, capsule: &CapsuleName, tool: &str) -> bool {
        let tools = &self.0.key.tools;
        tools
            .as_ref()
            .is_none_or(|tools| tools.iter().any(|pattern| pattern.covers(capsule, tool)))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let caller = app.keyring.identify(&parts.headers).await?;
        // For whoever reads the body, which may take its time.
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

impl FromRequestParts<AppState> for Admin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Error> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.require(Scope::Admin)?;
        if !parts.method.is_safe() {
            // What cannot be recorded is not done.
            app.audit.admit()?;
        }
        Ok(Self(caller))
    }
}
