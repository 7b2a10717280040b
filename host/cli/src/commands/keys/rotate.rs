//! `soma keys rotate`: a new key in the place of an old one, here and wherever the old one is known.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use soma_capability::Name;
use soma_registry::api::NewToken;
use soma_registry::client::{ClientError, Marketplace};
use soma_registry::{Change, OwnerKey, PublicKey, SecretKey};

use super::{Named, generate};
use crate::clock::now;
use crate::failure::Failure;
use crate::keyring::Keyring;
use crate::logins::{self, Login};
use crate::marketplace::{MarketplaceArgs, Session, sign_in};
use crate::passphrase;
use crate::screen::Screen;

/// Replace a key by a new one, wherever the old one is known
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma keys rotate
  soma keys rotate ci --marketplace https://market.example
  soma keys rotate never-used --only-here

The log of each marketplace says in which namespaces the key is one of an owner's. Each of those
gets a leaf that says that the old key is revoked and the new one is its successor, which both sign;
where the account logs in with the old key, it has the new one from then on. Nothing is changed
before it is known that all of it can be done. When it is interrupted both keys are kept, and the
same command goes on. The old key stays as NAME.old-DATE.")]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: Named,

    /// Ask no marketplace: whoever knows the old key goes on knowing that one
    #[arg(long, conflicts_with = "marketplace")]
    only_here: bool,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// A marketplace that knows the old key.
struct Place {
    session: Session,
    /// Where it is a key of an owner: the namespace, and whose it is.
    namespaces: Vec<(Name, Name)>,
    /// The account that logs in with it.
    account: Option<Name>,
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
        let begun = match keyring.has(&next) {
            true => Some(keyring.unlock(&next, || passphrase::known(&next))?),
            false => None,
        };
        let places = match self.only_here {
            true => Vec::new(),
            false => find(self.marketplace, &old, begun.as_ref()).await?,
        };
        let new = match begun {
            Some(new) => {
                screen.aside("going on with the new key of a rotation that was interrupted");
                new
            }
            None => {
                let new = generate()?;
                keyring.add(&next, &new, passphrase::new(&name)?)?;
                new
            }
        };
        let mut leaves = Map::new();
        for place in &places {
            let replaced = place.replace(&old, &new, &mut leaves, screen).await;
            replaced.map_err(|failure| {
                failure.hint(format_args!(
                    "both keys are kept: `soma keys rotate {name}` goes on from here"
                ))
            })?;
        }
        let date = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let kept = format!("{name}.old-{date}");
        keyring.rename(&name, &kept)?;
        keyring.rename(&next, &name)?;
        screen.aside(&format!("the old key is kept as {kept}"));
        if places.is_empty() {
            screen.aside(&format!(
                "No marketplace that was asked knows it; `--signing-key {kept}` still signs with it."
            ));
        }
        show(&name, new.public(), &Value::from(leaves), screen)
    }
}

fn show(name: &str, public: PublicKey, leaves: &Value, screen: Screen) -> Result<(), Failure> {
    let value = json!({"name": name, "public": public, "namespaces": leaves});
    screen.show(&value, |out| writeln!(out, "{name}  {public}"))
}

/// Everywhere that the old key is known, and where the new one has not taken its place yet.
async fn find(
    marketplaces: MarketplaceArgs,
    old: &SecretKey,
    begun: Option<&SecretKey>,
) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for marketplace in marketplaces.open_all()? {
        let url = marketplace.url().clone();
        let place = look(marketplace, old, begun).await.map_err(|failure| {
            failure.details([format!(
                "nothing was changed: {url} was asked where the key is known"
            )])
        })?;
        places.extend(place);
    }
    Ok(places)
}

async fn look(
    marketplace: Marketplace,
    old: &SecretKey,
    begun: Option<&SecretKey>,
) -> Result<Option<Place>, Failure> {
    let index = marketplace.walk().await?.index;
    let mut namespaces = Vec::new();
    for (namespace, state) in &index.namespaces {
        if let Some((owner, standing)) = state.key(&old.public())
            && standing.holds(now())
        {
            namespaces.push((namespace.clone(), owner.clone()));
        }
    }
    let last = logins::find(marketplace.url())?.map(|login| login.account);
    let owners = namespaces.iter().map(|(_, owner)| owner.clone());
    let accounts: BTreeSet<Name> = owners.chain(last).collect();
    for account in accounts {
        // The new key too: it is the account's own already where only the last steps are left.
        for (key, is_old) in [(Some(old), true), (begun, false)] {
            let Some(key) = key else { continue };
            let Some(token) = token(&marketplace, &account, key).await? else {
                continue;
            };
            let session = Session {
                marketplace: marketplace.with_token(&token.token.into())?,
                account: Some(account.clone()),
            };
            return Ok((is_old || !namespaces.is_empty()).then_some(Place {
                session,
                namespaces,
                account: is_old.then_some(account),
            }));
        }
    }
    if namespaces.is_empty() {
        return Ok(None);
    }
    // An owner's further key, such as one for CI: the account logs in with another.
    Ok(Some(Place {
        session: sign_in(marketplace)?,
        namespaces,
        account: None,
    }))
}

/// What the account's login gives; none where it has another key.
async fn token(
    marketplace: &Marketplace,
    account: &Name,
    key: &SecretKey,
) -> Result<Option<NewToken>, ClientError> {
    match marketplace.login(account, key).await {
        Err(error) if error.code() == Some("unauthorized") => Ok(None),
        answer => answer.map(Some),
    }
}

impl Place {
    /// Has the new key take the old one's place; `leaves` learns which say so.
    async fn replace(
        &self,
        old: &SecretKey,
        new: &SecretKey,
        leaves: &mut Map<String, Value>,
        screen: Screen,
    ) -> Result<(), Failure> {
        for (namespace, account) in &self.namespaces {
            let change = Change::RevokeKey {
                namespace: namespace.clone(),
                account: account.clone(),
                key: old.public(),
                successor: Some(OwnerKey {
                    public: new.public(),
                    expires: None,
                }),
            };
            let leaf = self.session.submit(change, &[old, new]).await?;
            screen.step("Replaced", &format!("in {namespace} (leaf {leaf})"));
            leaves.insert(namespace.to_string(), json!(leaf));
        }
        if let Some(account) = &self.account {
            let marketplace = &self.session.marketplace;
            let got = marketplace.login_replacing(account, old, new).await?;
            logins::keep(marketplace.url(), Login::of(account.clone(), got))?;
            let words = format!("for {account} at {}", marketplace.url());
            screen.step("Replaced", &words);
            screen.aside("Its tokens end with that: `soma token create` makes new ones.");
        }
        Ok(())
    }
}
