//! `soma rollback`: back to what served before an update.

use soma_capability::CapsuleName;

use super::approve::{Word, give, standing, tell_changes};
use crate::client::{Client, LocalKey};
use crate::failure::{Exit, Failure};
use crate::passphrase;
use crate::screen::{Screen, visible};

/// Go back to what served before an update
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma rollback acme/weather

What serves now is held from then on: `soma approve` goes to it again.")]
pub(crate) struct Rollback {
    /// NAMESPACE/NAME
    capsule: CapsuleName,

    #[command(flatten)]
    word: Word,
}

impl Rollback {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let Self { capsule, word } = self;
        let client = Client::new(word.host, LocalKey::Admin)?;
        let tenant = word.tenant.as_deref();
        let standing = standing(&client, &capsule, tenant).await?;
        let previous = &standing["previous"];
        if previous.is_null() {
            let none = format_args!("nothing that served before is kept of {capsule}");
            return Err(Failure::new(Exit::NotFound, none));
        }
        screen.aside(&format!("{capsule}:"));
        tell_changes(&standing["serving"], previous, screen);
        passphrase::agree(word.yes, &format!("Have {capsule} go back?"))?;
        let value = give(&client, &capsule, tenant, "rollback", &previous["digest"]).await?;
        screen.show(&value, |out| {
            let version = visible(value["version"].as_str().unwrap_or_default());
            writeln!(out, "serves again: {capsule} {version}")
        })
    }
}
