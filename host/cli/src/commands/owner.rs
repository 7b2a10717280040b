//! `soma owner`: who may publish in a namespace, and with which keys.

mod invitation;
mod keys;

use std::io::{self, Write};

use serde_json::json;
use soma_capability::Name;
use soma_registry::api::NamespaceInfo;
use soma_registry::{Change, KeyStanding};

use crate::clock::{day_and_time, now};
use crate::failure::Failure;
use crate::marketplace::MarketplaceArgs;
use crate::passphrase;
use crate::screen::{Screen, strong};
use crate::signer::SignerArgs;

#[derive(clap::Subcommand)]
pub(crate) enum Owner {
    /// List a namespace's owners, their keys, and recoveries under way
    #[command(after_help = "Example:\n  soma owner list acme")]
    List {
        /// The namespace
        namespace: Name,

        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
    Invite(invitation::Invite),
    /// List the invitations that you were sent, and those that you sent
    #[command(after_help = "Example:\n  soma owner invitations")]
    Invitations {
        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
    Accept(invitation::Accept),
    /// Decline an invitation, or take one back that you sent
    #[command(after_help = "Example:\n  soma owner decline 0198f1…")]
    Decline {
        /// The invitation's id, as `soma owner invitations` shows it
        id: String,

        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
    /// Remove an owner, or leave; the last one stays
    #[command(after_help = "Example:\n  soma owner remove acme bob

Whoever was removed can be invited again, with a key that is new there.")]
    Remove {
        #[command(flatten)]
        member: Member,

        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    AddKey(keys::AddKey),
    RevokeKey(keys::RevokeKey),
    /// Object to a recovery: the key that it would bring is not let in
    #[command(after_help = "Example:\n  soma owner object acme bob")]
    Object(Member),
}

/// An owner of a namespace.
#[derive(clap::Args)]
pub(crate) struct Member {
    /// The namespace
    namespace: Name,

    /// The owner's account
    account: Name,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Owner {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List {
                namespace,
                marketplace,
            } => {
                let info = marketplace.open().await?.namespace(&namespace).await?;
                screen.show(&info, |out| show(&info, out))
            }
            Self::Invite(command) => command.run(screen).await,
            Self::Invitations { marketplace } => invitation::list(marketplace, screen).await,
            Self::Accept(command) => command.run(screen).await,
            Self::Decline { id, marketplace } => {
                marketplace
                    .sign_in()
                    .await?
                    .marketplace
                    .decline(&id)
                    .await?;
                screen.show(&json!({"declined": id}), |out| {
                    writeln!(out, "declined: {id}")
                })
            }
            Self::Remove { member, yes } => {
                let Member {
                    namespace, account, ..
                } = &member;
                passphrase::agree(
                    yes,
                    &format!("Remove {account} from {namespace}, with every key?"),
                )?;
                let change = Change::RemoveOwner {
                    namespace: member.namespace.clone(),
                    account: member.account.clone(),
                };
                member.submit(change, "removed", screen).await
            }
            Self::AddKey(command) => command.run(screen).await,
            Self::RevokeKey(command) => command.run(screen).await,
            Self::Object(member) => {
                let change = Change::Object {
                    namespace: member.namespace.clone(),
                    account: member.account.clone(),
                };
                member.submit(change, "objected", screen).await
            }
        }
    }
}

impl Member {
    async fn submit(self, change: Change, done: &str, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let key = self.signer.key()?;
        let leaf = session.submit(change, &[&key]).await?;
        let (namespace, account) = (self.namespace, self.account);
        let value = json!({done: account, "namespace": namespace, "leaf": leaf});
        screen.show(&value, |out| {
            writeln!(
                out,
                "{done}: {account} in {namespace} (leaf {leaf} of the log)"
            )
        })
    }
}

fn show(info: &NamespaceInfo, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", strong(info.name.as_str()))?;
    for (account, keys) in &info.state.owners {
        let gone = match info.state.is_owner(account) {
            true => "",
            false => " (removed)",
        };
        writeln!(out, "  {account}{gone}")?;
        for (key, standing) in keys {
            writeln!(out, "    {key}{}", words(*standing))?;
        }
    }
    for (account, recovery) in &info.state.recoveries {
        let until = day_and_time(recovery.until());
        writeln!(
            out,
            "  a recovery of {account} is under way: from {until} on it can bring {}",
            recovery.key.public
        )?;
        let name = &info.name;
        writeln!(out, "  `soma owner object {name} {account}` objects to it")?;
    }
    Ok(())
}

fn words(standing: KeyStanding) -> String {
    match (standing.revoked, standing.expires) {
        (Some(leaf), _) => format!(" revoked by leaf {leaf}"),
        (None, Some(end)) if end <= now() => " expired".to_owned(),
        (None, Some(end)) => format!(" until {}", day_and_time(end)),
        (None, None) => String::new(),
    }
}
