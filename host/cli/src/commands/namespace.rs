//! `soma namespace`: names to publish under.

use serde_json::json;
use soma_capability::Name;
use soma_registry::{Change, Owner, OwnerKey, SecretKey};

use crate::failure::Failure;
use crate::marketplace::{MarketplaceArgs, Session};
use crate::screen::Screen;
use crate::signer::SignerArgs;

#[derive(clap::Subcommand)]
pub(crate) enum Namespace {
    Create(Create),
}

/// Take a namespace that nobody has, with your account as its owner
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma namespace create acme")]
pub(crate) struct Create {
    /// The namespace
    namespace: Name,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Namespace {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let Self::Create(command) = self;
        let session = command.marketplace.sign_in().await?;
        let namespace = command.namespace;
        let key = command.signer.key()?;
        let leaf = create(&session, &namespace, &key).await?;
        let value = json!({"namespace": namespace, "owner": session.account()?, "leaf": leaf});
        screen.show(&value, |out| {
            writeln!(out, "created: {namespace} (leaf {leaf} of the log)")
        })
    }
}

/// Takes a namespace for the session's account; gives the leaf that says so.
pub(crate) async fn create(
    session: &Session,
    namespace: &Name,
    key: &SecretKey,
) -> Result<u64, Failure> {
    let owner = Owner {
        account: session.account()?.clone(),
        key: OwnerKey {
            public: key.public(),
            expires: None,
        },
    };
    let namespace = namespace.clone();
    let change = Change::Create { namespace, owner };
    session.submit(change, &[key]).await
}
