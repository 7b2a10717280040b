//! `soma token`: tokens for programs, of few scopes and a longer life than a login's.

use clap::builder::RangedI64ValueParser;
use serde_json::json;
use soma_capability::Name;
use soma_registry::api::{Token as Known, TokenRequest, TokenScope};

use crate::clock::day_and_time;
use crate::failure::Failure;
use crate::marketplace::MarketplaceArgs;
use crate::screen::{Screen, table, visible};

const DAY: u64 = 24 * 60 * 60;

#[derive(clap::Subcommand)]
pub(crate) enum Token {
    Create(Create),
    /// List the account's tokens, without their texts
    #[command(after_help = "Example:\n  soma token list")]
    List {
        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
    /// Make a token useless
    #[command(after_help = "Example:\n  soma token revoke 3f9a0c1d2e4b5a69")]
    Revoke {
        /// The token's id, as `soma token list` shows it
        id: String,

        #[command(flatten)]
        marketplace: MarketplaceArgs,
    },
}

/// Make a token; its text is shown this once
#[derive(clap::Args)]
#[command(after_help = "Example:
  soma token create --name ci --scope publish-update --namespace acme --days 90

A token is never enough: what it sends must be signed by an owner's key too.")]
pub(crate) struct Create {
    /// What it is for, in your words
    #[arg(long)]
    name: String,

    /// What it may be used for; may be given more than once
    #[arg(long = "scope", value_enum, required = true)]
    scopes: Vec<Scope>,

    /// The only namespace it is good for; may be given more than once [default: all]
    #[arg(long = "namespace", value_name = "NS")]
    namespaces: Vec<Name>,

    /// Days until it ends
    #[arg(long, default_value_t = 30, value_parser = RangedI64ValueParser::<u64>::from(1..=365), allow_negative_numbers = true)]
    days: u64,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Scope {
    /// Capsules that have no version yet, and new namespaces
    PublishNew,
    /// Further versions
    PublishUpdate,
    /// Yank, un-yank, revoke
    Yank,
    /// Owners, keys, invitations
    Owners,
}

impl From<Scope> for TokenScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::PublishNew => Self::PublishNew,
            Scope::PublishUpdate => Self::PublishUpdate,
            Scope::Yank => Self::Yank,
            Scope::Owners => Self::Owners,
        }
    }
}

impl Token {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(screen).await,
            Self::List { marketplace } => {
                let tokens = marketplace.sign_in().await?.marketplace.tokens().await?;
                show(&tokens, screen)
            }
            Self::Revoke { id, marketplace } => {
                let session = marketplace.sign_in().await?;
                session.marketplace.revoke_token(&id).await?;
                screen.show(&json!({"revoked": id}), |out| {
                    writeln!(out, "revoked: {}", visible(&id))
                })
            }
        }
    }
}

impl Create {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let wanted = TokenRequest {
            name: self.name,
            scopes: self.scopes.into_iter().map(TokenScope::from).collect(),
            namespaces: Some(self.namespaces).filter(|all| !all.is_empty()),
            lifetime: self.days * DAY,
        };
        let session = self.marketplace.sign_in().await?;
        let token = session.marketplace.create_token(&wanted).await?;
        // The text alone on standard output, fit for a file or a variable.
        screen.show(&token, |out| writeln!(out, "{}", visible(&token.token)))?;
        screen.aside(&format!(
            "This is the token {}. Keep it: it is not shown again.",
            token.about.id
        ));
        Ok(())
    }
}

fn show(tokens: &[Known], screen: Screen) -> Result<(), Failure> {
    let rows = tokens
        .iter()
        .map(|token| {
            let scopes: Vec<String> = token.scopes.iter().map(ToString::to_string).collect();
            let namespaces = token.namespaces.as_ref().map_or_else(
                || "all".to_owned(),
                |names| {
                    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
                    names.join(", ")
                },
            );
            vec![
                token.id.clone(),
                token.name.clone(),
                scopes.join(", "),
                namespaces,
                day_and_time(token.expires),
            ]
        })
        .collect();
    screen.show(&json!({"tokens": tokens}), |out| {
        let headings = ["id", "name", "scopes", "namespaces", "expires"];
        table(out, &headings, rows, "There are no tokens.")
    })
}
