//! What an operator of a marketplace does: decide what is held, and act on the marketplace's word.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use soma_capability::{Digest, Name};
use soma_registry::api::OperatorChange;
use soma_registry::client::Decision;
use soma_registry::{PackageSpec, PublicKey};

use crate::clock::day_and_time;
use crate::commands::yank::agree_to_revoke;
use crate::failure::{Exit, Failure};
use crate::marketplace::{MarketplaceArgs, exact};
use crate::screen::{Screen, table};

/// A publication that waits.
#[derive(clap::Args)]
pub(crate) struct Decide {
    /// The review's id, as `soma marketplace reviews` shows it
    review: String,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Revoke a version on the marketplace's word, without its owner: no host runs it any more
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma marketplace revoke acme/weather@1.2.0 --reason 'sends the API key along'

There is no way back. The log says that the marketplace did it, and why.")]
pub(crate) struct Revoke {
    /// NAMESPACE/NAME@VERSION
    package: PackageSpec,

    /// Why, for those who had it installed
    #[arg(long)]
    reason: String,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Announce that an owner who lost every key gets a new one, in seven days
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma marketplace recover acme ada --key ed25519:1f3a…

The log shows it, and until then any owner can object (`soma owner object`). Make sure first that it
is the owner who asks.")]
pub(crate) struct Recover {
    /// The namespace
    namespace: Name,

    /// The owner's account
    account: Name,

    /// The new key, as `soma keys list` shows it to the owner
    #[arg(long)]
    key: PublicKey,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// End a recovery after its seven days: the new key holds, the owner's old ones do not
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma marketplace recovered acme ada")]
pub(crate) struct Recovered {
    /// The namespace
    namespace: Name,

    /// The owner's account
    account: Name,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// Fetch the file of a version that was held, to look at it before a word about it
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma marketplace fetch 0198f1… held.wasm && soma inspect held.wasm")]
pub(crate) struct Fetch {
    /// The review's id, as `soma marketplace reviews` shows it
    review: String,

    /// Where to write it
    file: PathBuf,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

pub(crate) async fn reviews(marketplace: MarketplaceArgs, screen: Screen) -> Result<(), Failure> {
    let reviews = marketplace.sign_in().await?.marketplace.reviews().await?;
    let rows = reviews.iter().map(|review| {
        vec![
            review.id.clone(),
            format!("{}@{}", review.capsule, review.version),
            day_and_time(review.since),
            review.account.as_ref().map_or("-".into(), Name::to_string),
            review.reason.clone(),
        ]
    });
    let rows = rows.collect();
    screen.show(&json!({"reviews": reviews}), |out| {
        let headings = ["review", "version", "since", "sent by", "held because"];
        table(out, &headings, rows, "Nothing waits.")
    })
}

impl Decide {
    pub(crate) async fn run(self, decision: Decision, screen: Screen) -> Result<(), Failure> {
        let marketplace = self.marketplace.sign_in().await?.marketplace;
        marketplace.decide(&self.review, decision).await?;
        let done = match decision {
            Decision::Approve => "approved",
            Decision::Refuse => "refused",
        };
        screen.show(&json!({done: self.review}), |out| {
            writeln!(out, "{done}: {}", self.review)
        })
    }
}

impl Fetch {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let marketplace = self.marketplace.sign_in().await?.marketplace;
        let reviews = marketplace.reviews().await?;
        let review = reviews.iter().find(|review| review.id == self.review);
        let review = review.ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format_args!("there is no review `{}`", self.review),
            )
            .hint("`soma marketplace reviews` shows those that wait")
        })?;
        let bytes = marketplace.review_capsule(review).await?;
        let (path, found) = (self.file.display(), Digest::of(&bytes));
        if found != review.digest {
            return Err(Failure::failed(format_args!(
                "the marketplace sent a file of digest {found}, and holds {}",
                review.digest
            )));
        }
        fs::write(&self.file, &bytes)
            .map_err(|error| Failure::usage(format_args!("cannot write {path}: {error}")))?;
        let shown = json!({"review": self.review, "file": self.file, "digest": found});
        screen.show(&shown, |out| writeln!(out, "{path}: {found}"))
    }
}

impl Revoke {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let (capsule, version) = exact(&self.package)?;
        agree_to_revoke(self.yes, &self.package)?;
        let change = OperatorChange::Revoke {
            capsule,
            version,
            reason: self.reason,
        };
        let package = self.package.to_string();
        operate(self.marketplace, &change, "revoked", &package, screen).await
    }
}

impl Recover {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let subject = format!("{} in {}", self.account, self.namespace);
        let change = OperatorChange::Recover {
            namespace: self.namespace,
            account: self.account,
            key: self.key,
        };
        operate(self.marketplace, &change, "announced", &subject, screen).await
    }
}

impl Recovered {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let subject = format!("{} in {}", self.account, self.namespace);
        let change = OperatorChange::Recovered {
            namespace: self.namespace,
            account: self.account,
        };
        operate(self.marketplace, &change, "recovered", &subject, screen).await
    }
}

async fn operate(
    marketplace: MarketplaceArgs,
    change: &OperatorChange,
    done: &str,
    subject: &str,
    screen: Screen,
) -> Result<(), Failure> {
    let logged = marketplace
        .sign_in()
        .await?
        .marketplace
        .operate(change)
        .await?;
    let leaf = logged.leaf;
    screen.show(&json!({done: subject, "leaf": leaf}), |out| {
        writeln!(out, "{done}: {subject} (leaf {leaf} of the log)")
    })
}
