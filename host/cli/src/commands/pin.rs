//! `soma pin`: which log each namespace comes from on a host.

use reqwest::Method;
use serde_json::{Value, json};
use soma_capability::Name;

use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, table};

#[derive(clap::Subcommand)]
pub(crate) enum PinCommand {
    List(List),
    Remove(Remove),
}

/// List the pinned namespaces
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma pin list")]
pub(crate) struct List {
    #[command(flatten)]
    host: HostArgs,
}

/// Let the next installation decide where a namespace comes from
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma pin remove acme")]
pub(crate) struct Remove {
    /// The namespace
    namespace: Name,

    #[command(flatten)]
    host: HostArgs,
}

impl PinCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::List(List { host }) => {
                let client = Client::new(host, LocalKey::Admin)?;
                let list = client.get(&["admin", "pins"], &[]).await?;
                let items = list["pins"].as_array().map(Vec::as_slice);
                let rows = items.unwrap_or_default().iter().map(row).collect();
                screen.show(&list, |out| {
                    let headings = ["namespace", "log", "keys", "since"];
                    table(out, &headings, rows, "No namespace is pinned.")
                })
            }
            Self::Remove(Remove { namespace, host }) => {
                let client = Client::new(host, LocalKey::Admin)?;
                let path = ["admin", "pins", namespace.as_str()];
                client.send(Method::DELETE, &path, Body::None).await?;
                screen.show(&json!({"unpinned": namespace}), |out| {
                    writeln!(out, "unpinned: {namespace}")
                })
            }
        }
    }
}

fn row(pin: &Value) -> Vec<String> {
    let text = |member: &str| pin[member].as_str().unwrap_or_default().to_owned();
    let keys = pin["keys"].as_array().map_or(0, Vec::len);
    vec![
        text("namespace"),
        text("log"),
        keys.to_string(),
        text("pinned_at"),
    ]
}
