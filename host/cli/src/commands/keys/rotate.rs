//! `soma keys rotate`: a new key in the place of an old one, here and in every namespace.

use serde_json::{Map, Value, json};
use soma_capability::Name;
use soma_registry::api::NamespaceInfo;
use soma_registry::{Change, KeyStanding, OwnerKey, PublicKey, SecretKey};

use super::{Named, generate};
use crate::failure::Failure;
use crate::keyring::Keyring;
use crate::marketplace::{MarketplaceArgs, Session};
use crate::passphrase;
use crate::screen::Screen;

/// Replace a key by a new one
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma keys rotate default --namespace acme
  soma keys rotate old-laptop

In each namespace given, the marketplace logs that the old key is revoked and the new one is its
successor, which both sign; then the account has the new key too. Until that is done both are kept:
when it is interrupted, the same command goes on. The old key stays as NAME.old-DATE.")]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: Named,

    /// A namespace that the key belongs to; may be given more than once. None: only here
    #[arg(long = "namespace", value_name = "NS")]
    namespaces: Vec<Name>,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Rotate {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let name = self.key.name;
        let keyring = Keyring::open()?;
        let next = format!("{name}.next");
        if !keyring.has(&name) && keyring.has(&next) {
            // Interrupted between the last two steps.
            keyring.rename(&next, &name)?;
            return show(&name, keyring.public(&name)?, &json!({}), screen);
        }
        let old = keyring.unlock(&name, || passphrase::known(&name))?;
        let session = match self.namespaces.is_empty() {
            true => None,
            false => Some(self.marketplace.sign_in()?),
        };
        let new = if keyring.has(&next) {
            screen.aside("going on with the new key of a rotation that was interrupted");
            keyring.unlock(&next, || passphrase::known(&next))?
        } else {
            let new = generate()?;
            keyring.add(&next, &new, passphrase::new(&name)?)?;
            new
        };
        let mut leaves = Map::new();
        if let Some(session) = &session {
            for namespace in &self.namespaces {
                let leaf = replace(session, namespace, &old, &new).await?;
                leaves.insert(namespace.to_string(), json!(leaf));
            }
            replace_at_account(session, &old, &new).await?;
        }
        let date = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let kept = format!("{name}.old-{date}");
        keyring.rename(&name, &kept)?;
        keyring.rename(&next, &name)?;
        screen.aside(&format!("the old key is kept as {kept}"));
        show(&name, new.public(), &Value::from(leaves), screen)
    }
}

fn show(name: &str, public: PublicKey, leaves: &Value, screen: Screen) -> Result<(), Failure> {
    let value = json!({"name": name, "public": public, "namespaces": leaves});
    screen.show(&value, |out| writeln!(out, "{name}  {public}"))
}

/// Has the new key log in from now on, unless it does so already.
async fn replace_at_account(
    session: &Session,
    old: &SecretKey,
    new: &SecretKey,
) -> Result<(), Failure> {
    let account = session.account()?;
    let marketplace = &session.marketplace;
    if let Err(error) = marketplace.login_replacing(account, old, new).await {
        let done_before = marketplace.login(account, new).await.is_ok();
        if !done_before {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Has the new key take the old one's place; none where that is logged already.
async fn replace(
    session: &Session,
    namespace: &Name,
    old: &SecretKey,
    new: &SecretKey,
) -> Result<Option<u64>, Failure> {
    let info = session.marketplace.namespace(namespace).await?;
    if holder(&info, new.public()).is_some_and(|(_, standing)| standing.revoked.is_none()) {
        return Ok(None);
    }
    let (account, _) = holder(&info, old.public()).ok_or_else(|| {
        Failure::failed(format_args!(
            "the key {} belongs to no owner of {namespace}",
            old.public()
        ))
    })?;
    let change = Change::RevokeKey {
        namespace: namespace.clone(),
        account: account.clone(),
        key: old.public(),
        successor: Some(OwnerKey {
            public: new.public(),
            expires: None,
        }),
    };
    session.submit(change, &[old, new]).await.map(Some)
}

fn holder(info: &NamespaceInfo, key: PublicKey) -> Option<(&Name, KeyStanding)> {
    info.state.key(&key)
}
