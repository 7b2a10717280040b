//! `soma logout`: makes the login's token useless and forgets it.

use serde_json::json;

use crate::clock::now;
use crate::failure::Failure;
use crate::logins;
use crate::marketplace::MarketplaceArgs;
use crate::screen::Screen;

/// Log out of a marketplace
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma logout")]
pub(crate) struct Logout {
    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Logout {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let marketplace = self.marketplace.known()?;
        let url = marketplace.url().clone();
        let login = logins::find(&url)?;
        if login.as_ref().is_none_or(|login| login.id.is_none()) {
            return screen.show(&json!({"logged-out": url}), |out| {
                writeln!(out, "was not logged in at {url}")
            });
        }
        logins::forget(&url)?;
        if let Some(login) = login
            && let (Some(token), Some(id)) = (login.token(now()), &login.id)
        {
            let revoked = marketplace.with_token(&token)?.revoke_token(id).await;
            // Forgotten here in any case; there it ends within the hour.
            if let Err(error) = revoked {
                screen.aside(&format!(
                    "the token was forgotten, but not revoked: {error}"
                ));
            }
        }
        screen.show(&json!({"logged-out": url}), |out| {
            writeln!(out, "logged out of {url}")
        })
    }
}
