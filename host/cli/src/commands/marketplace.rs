//! `soma marketplace`: which marketplaces this machine knows, each pinned to its log's key; running
//! one, and being its operator.

mod operate;
mod serve;

use serde_json::json;
use soma_registry::client::Decision;
use soma_registry::log::LogKey;
use soma_registry::{Marketplaces, PinnedMarketplace};
use url::Url;

use crate::failure::{Exit, Failure};
use crate::marketplace::{DataArgs, MarketplaceArgs, address};
use crate::screen::{Screen, table};

#[derive(clap::Subcommand)]
pub(crate) enum Marketplace {
    Serve(Box<serve::Serve>),
    Add(Add),
    /// List the marketplaces that are known, in the order in which they are asked
    #[command(after_help = "Example:\n  soma marketplace list")]
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    Remove(Remove),
    /// List the publications that wait for an operator's word
    #[command(after_help = "Example:\n  soma marketplace reviews")]
    Reviews {
        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
    Fetch(operate::Fetch),
    /// Publish a version that was held, as an operator
    #[command(after_help = "Example:\n  soma marketplace approve 0198f1…")]
    Approve(operate::Decide),
    /// Drop a version that was held, as an operator
    #[command(after_help = "Example:\n  soma marketplace refuse 0198f1…")]
    Refuse(operate::Decide),
    Revoke(operate::Revoke),
    Recover(operate::Recover),
    Recovered(operate::Recovered),
}

/// Pin a marketplace to the key of its log
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma marketplace add https://market.example --key market.example+1f3a99c0+AYr…

The key is what all trust in the marketplace hangs on: take it from its operator, not from the
marketplace itself. The marketplace is asked for its newest checkpoint, which that key must sign.")]
pub(crate) struct Add {
    /// Where it is
    #[arg(value_parser = address)]
    url: Url,

    /// The key of its log, as `soma marketplace serve` prints it
    #[arg(long, value_name = "VKEY")]
    key: LogKey,

    #[command(flatten)]
    data: DataArgs,
}

/// Forget a marketplace; what a host pinned to it stays pinned
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma marketplace remove https://market.example")]
pub(crate) struct Remove {
    /// Where it is
    #[arg(value_parser = address)]
    url: Url,

    #[command(flatten)]
    data: DataArgs,
}

impl Marketplace {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Add(command) => command.run(screen).await,
            Self::List { data } => list(&Marketplaces::read(&data.path()?)?, screen),
            Self::Remove(command) => command.run(screen),
            Self::Reviews { marketplace } => operate::reviews(marketplace, screen).await,
            Self::Fetch(command) => command.run(screen).await,
            Self::Approve(review) => review.run(Decision::Approve, screen).await,
            Self::Refuse(review) => review.run(Decision::Refuse, screen).await,
            Self::Revoke(command) => command.run(screen).await,
            Self::Recover(command) => command.run(screen).await,
            Self::Recovered(command) => command.run(screen).await,
        }
    }
}

impl Add {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let path = self.data.path()?;
        let mut marketplaces = Marketplaces::read(&path)?;
        let known = PinnedMarketplace {
            url: self.url,
            key: self.key,
        };
        marketplaces.add(known.clone())?;
        let client = known.client()?;
        let about = client
            .about()
            .await
            .map_err(|error| match error.is_not_found() {
                true => {
                    let words = format_args!("{} is no marketplace", known.url);
                    Failure::new(Exit::Unreachable, words).hint("is it the address of a host?")
                }
                false => error.into(),
            })?;
        if about.log != known.key.to_string() {
            return Err(Failure::failed(format_args!(
                "{} says that its log has the key {}, not {}",
                known.url, about.log, known.key
            ))
            .hint("ask its operator which is right; nothing was added"));
        }
        let checkpoint = client.checkpoint().await?;
        marketplaces.write(&path)?;
        let value = json!({
            "url": known.url,
            "key": known.key.to_string(),
            "log": known.key.origin(),
            "leaves": checkpoint.size(),
        });
        screen.show(&value, |out| {
            writeln!(out, "added: {}", known.url)?;
            writeln!(
                out,
                "  log {} with {} leaves",
                known.key.origin(),
                checkpoint.size()
            )
        })
    }
}

impl Remove {
    fn run(self, screen: Screen) -> Result<(), Failure> {
        let path = self.data.path()?;
        let mut marketplaces = Marketplaces::read(&path)?;
        if !marketplaces.remove(&self.url) {
            return Err(
                Failure::usage(format_args!("the marketplace {} is not known", self.url))
                    .hint("`soma marketplace list` shows which are"),
            );
        }
        marketplaces.write(&path)?;
        screen.show(&json!({"removed": self.url}), |out| {
            writeln!(out, "removed: {}", self.url)
        })
    }
}

fn list(marketplaces: &Marketplaces, screen: Screen) -> Result<(), Failure> {
    let all = marketplaces.iter();
    let values: Vec<_> = all
        .map(|known| json!({"url": known.url, "key": known.key.to_string()}))
        .collect();
    let all = marketplaces.iter();
    let rows = all
        .map(|known| vec![known.url.to_string(), known.key.to_string()])
        .collect();
    screen.show(&json!({"marketplaces": values}), |out| {
        let nothing = "No marketplace is known; `soma marketplace add URL --key VKEY` pins one.";
        table(out, &["marketplace", "key of its log"], rows, nothing)
    })
}
