//! `soma yank`, `soma unyank`, `soma revoke`: whether a version may be chosen, and run.

use serde_json::json;
use soma_registry::{Change, PackageSpec};

use crate::failure::Failure;
use crate::marketplace::{MarketplaceArgs, exact};
use crate::passphrase;
use crate::screen::Screen;
use crate::signer::SignerArgs;

/// What all of them need.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// NAMESPACE/NAME@VERSION
    package: PackageSpec,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Revoke a version for good: no host runs it any more
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma revoke acme/weather@1.2.0 --reason 'sends the API key along'

There is no way back. A version that is only outdated is yanked: who has it keeps it.")]
pub(crate) struct Revoke {
    #[command(flatten)]
    target: Target,

    /// Why, for those who had it installed
    #[arg(long)]
    reason: String,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Target {
    /// A version should not be chosen any more.
    pub(crate) async fn yank(self, screen: Screen) -> Result<(), Failure> {
        let (capsule, version) = exact(&self.package)?;
        let change = Change::Yank { capsule, version };
        self.submit(change, "yanked", screen).await
    }

    /// It may be chosen again.
    pub(crate) async fn unyank(self, screen: Screen) -> Result<(), Failure> {
        let (capsule, version) = exact(&self.package)?;
        let change = Change::Unyank { capsule, version };
        self.submit(change, "unyanked", screen).await
    }

    async fn submit(self, change: Change, done: &str, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let key = self.signer.key()?;
        let leaf = session.submit(change, &[&key]).await?;
        let package = self.package.to_string();
        screen.show(&json!({done: package, "leaf": leaf}), |out| {
            writeln!(out, "{done}: {package} (leaf {leaf} of the log)")
        })
    }
}

/// Of all that can be done to a version, this alone cannot be undone.
pub(super) fn agree_to_revoke(yes: bool, package: &PackageSpec) -> Result<(), Failure> {
    passphrase::agree(yes, &format!("Revoke {package} for good, on every host?"))
}

impl Revoke {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let (capsule, version) = exact(&self.target.package)?;
        agree_to_revoke(self.yes, &self.target.package)?;
        let change = Change::Revoke {
            capsule,
            version,
            reason: self.reason,
        };
        self.target.submit(change, "revoked", screen).await
    }
}
