//! `soma login`: proves to a marketplace to hold an account's key, and keeps the token it gives.

use serde_json::json;
use soma_capability::Name;

use crate::clock::day_and_time;
use crate::failure::Failure;
use crate::logins;
use crate::marketplace::MarketplaceArgs;
use crate::screen::Screen;
use crate::signer::SignerArgs;

/// Log in at a marketplace for an hour; an account that nobody has is made
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma login --account ada
  soma login                      as whom one was the last time")]
pub(crate) struct Login {
    /// The account [default: that of the last login]
    #[arg(long, env = "SOMA_ACCOUNT", value_name = "NAME")]
    account: Option<Name>,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Login {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let marketplace = self.marketplace.open().await?;
        let account = match self.account {
            Some(account) => account,
            None => {
                let last = logins::find(marketplace.url())?.map(|login| login.account);
                last.ok_or_else(|| {
                    Failure::usage("as whom? This is the first login here")
                        .hint("`soma login --account NAME`, with a name of your choice")
                })?
            }
        };
        let key = self.signer.key()?;
        let got = marketplace.login(&account, &key).await.map_err(|error| {
            let is_another_key = error.code() == Some("unauthorized");
            let failure = Failure::from(error);
            if !is_another_key {
                return failure;
            }
            failure.details([format!("this key is {}", key.public())]).hint(format_args!(
                "`{account}` is somebody else's name, or has another of your keys: choose that with \
                 --signing-key, or another name with --account"
            ))
        })?;
        let expires = got.about.expires;
        if let Some(id) = logins::find(marketplace.url())?.and_then(|login| login.id) {
            // One login is enough. Where it is too old or another account's, it is not there.
            let mine = marketplace.clone().with_token(&got.token.clone().into())?;
            let _ = mine.revoke_token(&id).await;
        }
        logins::keep(marketplace.url(), logins::Login::of(account.clone(), got))?;
        let value = json!({
            "marketplace": marketplace.url(), "account": account, "expires": expires,
        });
        screen.show(&value, |out| {
            let until = day_and_time(expires);
            writeln!(out, "logged in as {account} until {until}")
        })
    }
}
