//! What credentials were exchanged for: kept beside them, shared by the hosts of a database.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use secrecy::SecretString;
use soma_runtime::{Credential, Presentation};
use sqlx::AnyPool;

use super::kind::Exchange;
use super::mint::{Mint, MintError, Token};
use super::seal::{Part, Place};
use super::values::Values;
use super::{Opened, Whose};
use crate::db::secrets::{self, New, SealedToken, Stored};
use crate::error::Error;
use crate::finished::Finished;

/// How long a token must be good for: longer than most calls.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(60);
/// How long a host has the turn to exchange a credential: longer than the issuer and the database may
/// take together, since one that is shown twice can end a login.
const TURN: SignedDuration = SignedDuration::from_secs(60);
/// How long a call waits for another host's turn.
const WAIT: SignedDuration = SignedDuration::from_secs(15);
/// How often it is looked whether another host has done it.
const LOOK: Duration = Duration::from_millis(100);
/// How long an issuer is left alone that gave no token.
const ALONE: Duration = Duration::from_secs(5);
/// How often it is tried to keep a token, and how long it is waited in between.
const TRIES: usize = 5;
const BETWEEN: Duration = Duration::from_secs(1);

/// Exchanges credentials, and keeps what comes of it.
pub(super) struct Tokens {
    pool: AnyPool,
    values: Arc<Values>,
    mint: Mint,
    /// Revisions that could not be exchanged a moment ago.
    failed: Cache<String, ()>,
}

impl Tokens {
    pub(super) fn new(pool: AnyPool, values: Arc<Values>) -> anyhow::Result<Self> {
        let mint = Mint::new()?;
        let failed = Cache::builder().max_capacity(10_000).time_to_live(ALONE);
        Ok(Self {
            pool,
            values,
            mint,
            failed: failed.build(),
        })
    }

    /// Exchanges what is about to be kept. Gives the token, and the value that is to be exchanged the
    /// next time.
    pub(super) async fn first(
        &self,
        place: Place<'_>,
        how: &Exchange,
        value: SecretString,
    ) -> Result<(SealedToken, SecretString), Error> {
        how.check().map_err(Error::BadRequest)?;
        let token = self.mint.exchange(how, &value).await;
        let token = token.map_err(|error: MintError| Error::BadRequest(error.to_string()))?;
        Credential::new(Presentation::Bearer, token.value.clone())
            .map_err(|_| Error::BadRequest("the issuer's token fits no field".to_owned()))?;
        let sealed = self.seal(place, &token)?;
        Ok((sealed, token.next.unwrap_or(value)))
    }

    /// The credential as a token that is good for a while: the one that is kept, or a new one.
    pub(super) async fn open(
        self: &Arc<Self>,
        whose: Whose<'_>,
        mut stored: Stored,
        how: &Exchange,
    ) -> Result<Opened, Error> {
        let tenant = whose.tenant_id;
        let end = Timestamp::now().saturating_add(WAIT);
        let end = end.unwrap_or(Timestamp::MAX);
        loop {
            let good = Timestamp::now().saturating_add(GOOD_FOR);
            if let Some(opened) = self.kept(tenant, &stored, good.unwrap_or(Timestamp::MAX))? {
                return Ok(opened);
            }
            let is_failed = self.failed.contains_key(&stored.revision);
            if !is_failed {
                let (tokens, how, mine) = (self.clone(), how.clone(), stored.clone());
                let (id, name) = (tenant.to_owned(), whose.tenant.to_owned());
                // An exchange can use the credential up: whoever waits for it may go, what came of
                // it is kept.
                let exchange = async move {
                    let whose = Whose {
                        tenant_id: &id,
                        tenant: &name,
                        key: None,
                    };
                    tokens.exchange(whose, mine, &how).await
                };
                if let Some(opened) = Finished::new(exchange).await? {
                    return Ok(opened);
                }
            }
            // Another host is at it, or it was in vain: the last token serves as long as it is one.
            if let Some(opened) = self.kept(tenant, &stored, Timestamp::now())? {
                return Ok(opened);
            }
            if is_failed || Timestamp::now() > end {
                return Ok(Opened::unavailable(stored));
            }
            tokio::time::sleep(LOOK).await;
            match secrets::get(&self.pool, stored.place(tenant)).await? {
                Some(now) => stored = now,
                None => return Ok(Opened::unavailable(stored)),
            }
        }
    }

    /// Exchanges it; none where another host has the turn to. Where that fails, the last token serves
    /// as long as it is one, and it is tried again for a call that comes later.
    async fn exchange(
        &self,
        whose: Whose<'_>,
        stored: Stored,
        how: &Exchange,
    ) -> Result<Option<Opened>, Error> {
        let (tenant, name) = (whose.tenant_id, &stored.name);
        let Some(value) = self.values.of(whose, &stored).await? else {
            self.failed.insert(stored.revision.clone(), ()).await;
            let last = self.kept(tenant, &stored, Timestamp::now())?;
            return Ok(Some(last.unwrap_or_else(|| Opened::unavailable(stored))));
        };
        let turn = i64::try_from(TURN.as_millis()).unwrap_or(i64::MAX);
        if !secrets::take_turn(&self.pool, tenant, &stored, turn).await? {
            return Ok(None);
        }
        let token = match self.mint.exchange(how, &value.text).await {
            Ok(token) => token,
            Err(error) => {
                tracing::error!(%name, %error, "a credential is not exchanged for a token");
                self.failed.insert(stored.revision.clone(), ()).await;
                secrets::give_turn_back(&self.pool, tenant, &stored).await?;
                let last = self.kept(tenant, &stored, Timestamp::now())?;
                return Ok(Some(last.unwrap_or_else(|| Opened::unavailable(stored))));
            }
        };
        let next = token.next.as_ref();
        let place = stored.place(tenant);
        let next = next.map(|next| self.values.sealer.seal(Part::Value, place, next));
        let new = New {
            kind: &stored.kind,
            source: stored.source.as_ref(),
            sealed: &next.transpose()?.unwrap_or_else(|| stored.sealed.clone()),
            token: Some(&self.seal(place, &token)?),
        };
        let kept = self.keep(tenant, &stored, &new).await?;
        Ok(Some(match kept {
            Some(kept) => Opened::of(Presentation::Bearer, token.value, &kept)?,
            None => Opened::unavailable(stored),
        }))
    }

    /// Keeps a token, against some odds: the credential that it came for may be used up.
    async fn keep(
        &self,
        tenant: &str,
        stored: &Stored,
        new: &New<'_>,
    ) -> sqlx::Result<Option<Stored>> {
        for _ in 1..TRIES {
            match secrets::end_turn(&self.pool, tenant, stored, new).await {
                Ok(kept) => return Ok(kept),
                Err(error) => tracing::error!(%error, "a token cannot be kept, yet"),
            }
            tokio::time::sleep(BETWEEN).await;
        }
        secrets::end_turn(&self.pool, tenant, stored, new).await
    }

    /// The token that is kept, where it is good until then.
    fn kept(
        &self,
        tenant: &str,
        stored: &Stored,
        until: Timestamp,
    ) -> Result<Option<Opened>, Error> {
        let Some(token) = stored.token.as_ref().filter(|token| token.ends > until) else {
            return Ok(None);
        };
        let place = stored.place(tenant);
        let token = self.values.sealer.open(Part::Token, place, &token.sealed)?;
        Opened::of(Presentation::Bearer, token, stored).map(Some)
    }

    fn seal(&self, place: Place<'_>, token: &Token) -> Result<SealedToken, Error> {
        let sealer = &self.values.sealer;
        Ok(SealedToken {
            sealed: sealer.seal(Part::Token, place, &token.value)?,
            ends: token.ends,
        })
    }
}
