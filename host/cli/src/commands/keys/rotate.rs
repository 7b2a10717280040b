//! `soma keys rotate`: a new key in the place of an old one, here and wherever the old one is known.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use soma_capability::Name;
use soma_registry::api::NewToken;
use soma_registry::client::{ClientError, Marketplace};
use soma_registry::{Change, OwnerKey, PublicKey, SecretKey};

use super::{Named, generate};
use crate::clock::now;
use crate::failure::{Exit, Failure};
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
it ends when the old one would have. Where the account logs in with the old key, it has the new one
from then on. Nothing is changed before all of them have answered and let you in. When it is
interrupted both keys are kept, and the same command goes on. The old key stays as NAME.old-DATE, and
both are under passphrases of their own.")]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: Named,

    /// Ask no marketplace: whoever knows the old key goes on knowing that one
    #[arg(long, conflicts_with = "marketplace")]
    only_here: bool,

    /// An account to leave as it is, which is none of yours although the log says that the key is one
    /// of its: whoever found the key may have put it there; may be given more than once
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "only_here")]
    except: Vec<Name>,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// The key that is looked for.
#[derive(Clone, Copy)]
struct Known<'a> {
    old: &'a SecretKey,
    /// The new one of a rotation that was interrupted.
    begun: Option<&'a SecretKey>,
    /// Accounts that are left as they are.
    except: &'a [Name],
}

/// An account of a marketplace that knows the old key.
struct Place {
    session: Session,
    account: Name,
    /// Where the key is one of this owner's, and when it ends there.
    namespaces: Vec<(Name, Option<u64>)>,
    /// Whether the account logs in with it.
    is_login: bool,
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
        if self.only_here && keyring.has(&next) {
            let words =
                format_args!("a rotation of `{name}` has begun, and some may know the new key");
            return Err(Failure::usage(words)
                .hint(format_args!("`soma keys rotate {name}` goes on with it")));
        }
        let begun = match keyring.has(&next) {
            true => Some(keyring.unlock(&next, || passphrase::known(&next))?),
            false => None,
        };
        let places = match self.only_here {
            true => Vec::new(),
            false => {
                let known = Known {
                    old: &old,
                    begun: begun.as_ref(),
                    except: &self.except,
                };
                find(self.marketplace, known, screen).await?
            }
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
            let nobody = match self.only_here {
                true => "No marketplace was asked",
                false if self.except.is_empty() => "No marketplace that is known here knows it",
                false => "Nobody else knows it in any marketplace that is known here",
            };
            screen.aside(&format!(
                "{nobody}; `--signing-key {kept}` still signs with it."
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
    known: Known<'_>,
    screen: Screen,
) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::new();
    for marketplace in marketplaces.open_all()? {
        let url = marketplace.url().clone();
        let found = look(marketplace, known, screen).await.map_err(|failure| {
            failure.details([format!(
                "nothing was changed: {url} was asked who knows the key"
            )])
        })?;
        places.extend(found);
    }
    Ok(places)
}

async fn look(
    marketplace: Marketplace,
    known: Known<'_>,
    screen: Screen,
) -> Result<Vec<Place>, Failure> {
    let Known { old, begun, except } = known;
    // Owners by the log, and whoever was logged in last.
    let mut accounts: BTreeMap<Name, Vec<(Name, Option<u64>)>> = BTreeMap::new();
    if let Some(login) = logins::find(marketplace.url())? {
        accounts.entry(login.account).or_default();
    }
    for (namespace, state) in &marketplace.walk().await?.index.namespaces {
        if let Some((owner, standing)) = state.key(&old.public())
            && standing.holds(now())
        {
            let found = (namespace.clone(), standing.expires);
            accounts.entry(owner.clone()).or_default().push(found);
        }
    }
    for left in except {
        for (namespace, _) in accounts.remove(left).unwrap_or_default() {
            let url = marketplace.url();
            screen.aside(&format!("as it is: `{left}` in {namespace} at {url}"));
        }
    }
    let mut places = Vec::new();
    for (account, namespaces) in accounts {
        let got = token(&marketplace, &account, old).await?;
        let is_login = got.is_some();
        let got = match (got, begun) {
            // It is the account's own already where only the last steps are left.
            (None, Some(begun)) => token(&marketplace, &account, begun).await?,
            (got, _) => got,
        };
        if namespaces.is_empty() && !is_login {
            continue;
        }
        let session = match got {
            Some(got) => Session {
                marketplace: marketplace.clone().with_token(&got.token.into())?,
                account: Some(account.clone()),
            },
            None => signed_in(&marketplace, &account).await?,
        };
        places.push(Place {
            session,
            account,
            namespaces,
            is_login,
        });
    }
    Ok(places)
}

/// The login of an account that has another key to log in with: the old one is a further key of an
/// owner's, such as one for CI.
async fn signed_in(marketplace: &Marketplace, account: &Name) -> Result<Session, Failure> {
    let remedy = format!(
        "`soma login --account {account}` first; where that is none of yours, `--except {account}`"
    );
    let session = sign_in(marketplace.clone()).map_err(|failure| failure.hint(&remedy))?;
    let whose = session.marketplace.account().await?.account;
    if whose == *account {
        return Ok(session);
    }
    let words = format_args!(
        "the key is one of `{account}`, who logs in with another, and you are logged in as `{whose}`"
    );
    Err(Failure::new(Exit::NotAllowed, words).hint(remedy))
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
        let account = &self.account;
        let marketplace = &self.session.marketplace;
        let url = marketplace.url();
        for (namespace, expires) in &self.namespaces {
            let change = Change::RevokeKey {
                namespace: namespace.clone(),
                account: account.clone(),
                key: old.public(),
                // What was to end goes on to end.
                successor: Some(OwnerKey {
                    public: new.public(),
                    expires: *expires,
                }),
            };
            let leaf = self.session.submit(change, &[old, new]).await?;
            screen.step(
                "Replaced",
                &format!("in {namespace} at {url} (leaf {leaf})"),
            );
            leaves.insert(namespace.to_string(), json!(leaf));
        }
        if self.is_login {
            let got = marketplace.login_replacing(account, old, new).await?;
            let last = logins::find(url)?;
            if last.is_none_or(|last| last.account == *account) {
                logins::keep(url, Login::of(account.clone(), got))?;
            }
            screen.step("Replaced", &format!("for {account} at {url}"));
            screen.aside("Its tokens end with that: `soma token create` makes new ones.");
        } else {
            screen.aside(&format!(
                "{account} logs in at {url} with another key, which stays."
            ));
        }
        Ok(())
    }
}
