//! HashiCorp Vault: values in a KV engine, and users of databases that last as long as their lease.

mod client;
mod lease;
mod login;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use moka::future::Cache;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde_json::value::RawValue;

use self::client::{Answer, Client, Question};
use self::lease::Lease;
use self::login::{Login, Token};
use super::given::VaultSettings;
use super::{Keeper, KeeperError, Read, Source, value};

/// How long a value of a KV engine is not asked for again: with the second for which the host
/// remembers credentials, five seconds after it was changed there it has changed here.
const GOOD_FOR: Duration = Duration::from_secs(4);
/// Leases in use.
const MOST_LEASES: u64 = 10_000;

pub(super) struct Vault {
    client: Client,
    login: Login,
    settings: VaultSettings,
    /// By the name of the role.
    leases: Cache<String, Lease>,
}

/// A secret of the second version of the KV engine, as `data` has it.
#[derive(Deserialize)]
struct Version<'a> {
    #[serde(borrow)]
    data: Option<BTreeMap<String, &'a RawValue>>,
}

/// What a database engine gives.
#[derive(Deserialize)]
struct Account {
    username: String,
    password: SecretString,
}

impl Vault {
    pub(super) fn new(settings: &VaultSettings) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(settings)?,
            login: Login::new(settings.identity.clone()),
            settings: settings.clone(),
            leases: Cache::new(MOST_LEASES),
        })
    }

    /// Renews the token before it ends, also where nothing is read for a long time.
    pub(super) async fn keep_logged_in(&self) {
        loop {
            tokio::time::sleep(self.login.tend(&self.client).await).await;
        }
    }

    /// Asks with the host's token; where that has just been taken back, once more with a new one.
    async fn ask(&self, question: Question<'_>) -> Result<(Answer, Token), KeeperError> {
        let token = self.login.token(&self.client).await?;
        let refusal = match self.client.ask(&question, Some(&token.value)).await {
            Ok(answer) => return Ok((answer, token)),
            Err(refusal @ KeeperError::Refused(403, _)) => refusal,
            Err(error) => return Err(error),
        };
        let another = self.login.another(&self.client, token.generation).await?;
        let token = another.ok_or(refusal)?;
        let answer = self.client.ask(&question, Some(&token.value)).await?;
        Ok((answer, token))
    }

    /// At MOUNT/PREFIX/TENANT/PATH, with `data` after the mount in the second version.
    async fn kv(&self, tenant: &str, path: &str, field: &str) -> Result<Read, KeeperError> {
        let VaultSettings { mount, prefix, .. } = &self.settings;
        let data = self.settings.is_kv2.then_some("data");
        let parts = mount.split('/').chain(data).chain(prefix.split('/'));
        let parts = parts.chain([tenant]).chain(path.split('/')).collect();
        let what = || format!("field `{field}` at {prefix}/{tenant}/{path} in Vault");
        let asked = self.ask(Question::new(Method::GET, parts)).await;
        let (answer, _) = asked.map_err(|error| match error {
            KeeperError::Refused(404, _) => KeeperError::Missing(what()),
            error => error,
        })?;
        let fields = if self.settings.is_kv2 {
            answer.data::<Version<'_>>()?.data.unwrap_or_default()
        } else {
            answer.data::<BTreeMap<String, &RawValue>>()?
        };
        let found = fields.get(field);
        let found = found.ok_or_else(|| KeeperError::Missing(what()))?;
        let text: Zeroizing<String> = serde_json::from_str::<String>(found.get())
            .map_err(|_| KeeperError::Unfit(what(), "is no text"))?
            .into();
        Ok(Read {
            value: value(what, text.as_bytes())?,
            user: None,
            good_for: GOOD_FOR,
        })
    }

    /// The user of a lease that is good for a while: the one that is there, for longer where it can
    /// be renewed, or another.
    async fn database(&self, tenant: &str, role: &str) -> Result<Read, KeeperError> {
        let role = format!("{tenant}.{role}");
        let token = self.login.token(&self.client).await;
        let lease = self.leases.get(&role).await.filter(Lease::is_alive);
        let (lease, token) = match (lease, token) {
            // It goes with the token that it was made with.
            (Some(lease), Ok(token)) if lease.generation == token.generation => (lease, token),
            (Some(lease), Err(_)) => return Ok(lease.read()),
            (_, token) => {
                token?;
                return Ok(self.lease(role).await?.read());
            }
        };
        if !lease.is_due() {
            return Ok(lease.read());
        }
        if let Some(lease) = self.renewed(&lease, &token).await {
            self.leases.insert(role, lease.clone()).await;
            return Ok(lease.read());
        }
        match self.lease(role).await {
            Ok(lease) => Ok(lease.read()),
            Err(error) if lease.is_alive() => {
                tracing::warn!(%error, "a lease is not replaced, and serves to its end");
                Ok(lease.read())
            }
            Err(error) => Err(error),
        }
    }

    async fn lease(&self, role: String) -> Result<Lease, KeeperError> {
        let mount = self.settings.database_mount.split('/');
        let parts = mount.chain(["creds", &role]).collect();
        let asked = self.ask(Question::new(Method::GET, parts)).await;
        let (answer, token) = asked.map_err(|error| match error {
            KeeperError::Refused(404, _) => KeeperError::Missing(format!("role {role} in Vault")),
            error => error,
        })?;
        let lease = Lease::new(&answer.lease()?, answer.data::<Account>()?, &token);
        self.leases.insert(role, lease.clone()).await;
        Ok(lease)
    }

    /// None where it is not to be had for much longer.
    async fn renewed(&self, lease: &Lease, token: &Token) -> Option<Lease> {
        if !lease.renewable {
            return None;
        }
        let body = serde_json::json!({"lease_id": lease.id, "increment": lease.lasts.as_secs()});
        let parts = vec!["sys", "leases", "renew"];
        let question = Question::new(Method::PUT, parts).with(body.to_string());
        let asked = self.client.ask(&question, Some(&token.value)).await;
        match asked.and_then(|answer| answer.lease()) {
            Ok(renewed) => lease.renewed(&renewed),
            Err(error) => {
                tracing::warn!(%error, "a lease of Vault's is not renewed");
                None
            }
        }
    }
}

#[async_trait]
impl Keeper for Vault {
    async fn read(&self, tenant: &str, source: &Source) -> Result<Read, KeeperError> {
        match source {
            Source::VaultKv { path, field } => self.kv(tenant, path, field).await,
            Source::VaultDatabase { role } => self.database(tenant, role).await,
            source => Err(KeeperError::Name(format!("{source} is not in Vault"))),
        }
    }
}
