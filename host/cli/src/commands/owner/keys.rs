//! An owner's further keys, and the end of a key.

use jiff::Timestamp;
use serde_json::json;
use soma_capability::Name;
use soma_registry::{Change, Owner, OwnerKey, PublicKey};

use crate::clock::{day_and_time, now, time};
use crate::failure::{Exit, Failure};
use crate::keyring::Keyring;
use crate::marketplace::MarketplaceArgs;
use crate::passphrase;
use crate::screen::Screen;
use crate::signer::SignerArgs;

/// Add another of your keys, such as one for CI that expires; both sign
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma owner add-key acme --new-key ci --expires 2027-01-01T00:00:00Z")]
pub(crate) struct AddKey {
    /// The namespace
    namespace: Name,

    /// The key to add, as `soma keys list` names it
    #[arg(long, value_name = "NAME")]
    new_key: String,

    /// When it ends, as in 2027-01-01T00:00:00Z (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Revoke an owner's key; `soma keys rotate` puts another in its place
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma owner revoke-key acme ed25519:9a2f…

What it signed before stays as it is: versions that should not run are revoked one by one.")]
pub(crate) struct RevokeKey {
    /// The namespace
    namespace: Name,

    /// The key
    key: PublicKey,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl AddKey {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let name = self.new_key;
        let key = self.signer.key()?;
        let new = Keyring::open()?.unlock(&name, || passphrase::known(&name))?;
        let expires = self.expires.map(|time| u64::try_from(time.as_second()));
        let expires = expires
            .transpose()
            .map_err(|_| Failure::usage("--expires is before 1970"))?;
        if expires.is_some_and(|end| end <= now()) {
            return Err(Failure::usage("--expires is in the past"));
        }
        let info = session.marketplace.namespace(&self.namespace).await?;
        let (account, _) = info.state.key(&key.public()).ok_or_else(|| {
            Failure::failed(format_args!(
                "the key {} belongs to no owner of {}",
                key.public(),
                self.namespace
            ))
        })?;
        let change = Change::AddKey {
            namespace: self.namespace.clone(),
            owner: Owner {
                account: account.clone(),
                key: OwnerKey {
                    public: new.public(),
                    expires,
                },
            },
        };
        let leaf = session.submit(change, &[&key, &new]).await?;
        let public = new.public();
        let value = json!({"namespace": self.namespace, "added": public, "leaf": leaf});
        screen.show(&value, |out| {
            let until =
                expires.map_or_else(String::new, |end| format!(" until {}", day_and_time(end)));
            let namespace = &self.namespace;
            writeln!(
                out,
                "added: {public} in {namespace}{until} (leaf {leaf} of the log)"
            )
        })
    }
}

impl RevokeKey {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let info = session.marketplace.namespace(&self.namespace).await?;
        let (account, _) = info.state.key(&self.key).ok_or_else(|| {
            let words = format_args!("no owner of {} has the key {}", self.namespace, self.key);
            Failure::new(Exit::NotFound, words).hint("`soma owner list` shows the keys")
        })?;
        passphrase::agree(
            self.yes,
            &format!(
                "Revoke {} of {account} in {}, for good?",
                self.key, self.namespace
            ),
        )?;
        let signer = self.signer.key()?;
        let change = Change::RevokeKey {
            namespace: self.namespace.clone(),
            account: account.clone(),
            key: self.key,
            successor: None,
        };
        let leaf = session.submit(change, &[&signer]).await?;
        let value = json!({"namespace": self.namespace, "revoked": self.key, "leaf": leaf});
        screen.show(&value, |out| {
            writeln!(out, "revoked: {} (leaf {leaf} of the log)", self.key)
        })
    }
}
