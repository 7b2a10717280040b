//! Becoming an owner: one offers it, the other accepts, and both sign the same change.

use serde_json::json;
use soma_capability::Name;
use soma_registry::api::Invitation;
use soma_registry::{Change, ChangeRequest, Owner, OwnerKey, PublicKey, SignedChange};

use crate::failure::{Exit, Failure};
use crate::marketplace::MarketplaceArgs;
use crate::screen::{Screen, table, visible};
use crate::signer::SignerArgs;

/// Offer somebody to become an owner
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma owner invite acme bob --public-key ed25519:9a2f…

Bob prints the key with `soma keys export`, and accepts with `soma owner accept`.")]
pub(crate) struct Invite {
    /// The namespace
    namespace: Name,

    /// The other's account
    account: Name,

    /// The public half of the key that the other will sign with
    #[arg(long, value_name = "KEY")]
    public_key: PublicKey,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Accept an invitation: sign it with your own key
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma owner accept 0198f1…")]
pub(crate) struct Accept {
    /// The invitation's id, as `soma owner invitations` shows it
    id: String,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Invite {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let key = self.signer.key()?;
        let change = Change::AddOwner {
            namespace: self.namespace.clone(),
            owner: Owner {
                account: self.account.clone(),
                key: OwnerKey {
                    public: self.public_key,
                    expires: None,
                },
            },
        };
        let request = ChangeRequest::new(session.marketplace.origin(), change);
        let envelope = request.sign(&[&key]).map_err(Failure::failed)?;
        let invitation = session.marketplace.invite(&envelope).await?;
        screen.show(&invitation, |out| {
            let id = visible(&invitation.id);
            writeln!(out, "invited: {} to {}", self.account, self.namespace)?;
            writeln!(
                out,
                "  `soma owner accept {id}` is what {} does",
                self.account
            )
        })
    }
}

impl Accept {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let session = self.marketplace.sign_in().await?;
        let origin = session.marketplace.origin();
        let invitation = session.marketplace.invitation(&self.id).await;
        let invitation = invitation.map_err(|error| match error.is_not_found() {
            true => {
                let words = format_args!("there is no invitation {}", self.id);
                let failure = Failure::new(Exit::NotFound, words);
                failure.hint("`soma owner invitations` shows them")
            }
            false => error.into(),
        })?;
        let (namespace, owner) = offered(&invitation, origin)?;
        let key = self.signer.key()?;
        if owner.key.public != key.public() {
            return Err(Failure::usage(format_args!(
                "the invitation is for the key {}, and this is {}",
                owner.key.public,
                key.public()
            ))
            .hint("choose that one with --signing-key"));
        }
        let envelope =
            SignedChange::countersign(&invitation.change, origin, &key).map_err(Failure::failed)?;
        let leaf = session.marketplace.submit(&envelope).await?.leaf;
        let account = owner.account;
        let value = json!({"namespace": namespace, "account": account, "leaf": leaf});
        screen.show(&value, |out| {
            writeln!(
                out,
                "accepted: {account} owns {namespace} (leaf {leaf} of the log)"
            )
        })
    }
}

pub(super) async fn list(marketplace: MarketplaceArgs, screen: Screen) -> Result<(), Failure> {
    let session = marketplace.sign_in().await?;
    let invitations = session.marketplace.invitations().await?;
    let mut rows = Vec::new();
    for invitation in &invitations {
        let (namespace, owner) = offered(invitation, session.marketplace.origin())?;
        rows.push(vec![
            invitation.id.clone(),
            namespace.to_string(),
            owner.account.to_string(),
            owner.key.public.to_string(),
        ]);
    }
    screen.show(&json!({"invitations": invitations}), |out| {
        let headings = ["id", "namespace", "for", "with the key"];
        table(out, &headings, rows, "There are no invitations.")
    })
}

/// What an invitation offers: as somebody signed it, not as the marketplace tells it. Signing
/// anything else in its place would be signing what one did not read.
fn offered(invitation: &Invitation, log: &str) -> Result<(Name, Owner), Failure> {
    let signed = SignedChange::open(&invitation.change, log).map_err(Failure::failed)?;
    match signed.request.change {
        Change::AddOwner { namespace, owner } => Ok((namespace, owner)),
        _ => Err(Failure::failed(format_args!(
            "the invitation {} is for something else than to become an owner",
            invitation.id
        ))),
    }
}
