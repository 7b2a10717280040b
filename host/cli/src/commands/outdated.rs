//! `soma outdated`: which installed capsules have a newer version, or were revoked.

use serde_json::Value;

use crate::client::{Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, table};

/// List the installed capsules that have a newer version in their log, or were revoked
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma outdated")]
pub(crate) struct Outdated {
    #[command(flatten)]
    host: HostArgs,
}

impl Outdated {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Invoke)?;
        let list = client.get(&["outdated"], &[]).await?;
        let items = list["outdated"].as_array().map(Vec::as_slice);
        let rows = items.unwrap_or_default().iter().map(row).collect();
        screen.show(&list, |out| {
            let headings = ["capsule", "installed", "newest", "origin", "revoked"];
            table(
                out,
                &headings,
                rows,
                "Everything from a marketplace is at its newest version.",
            )
        })
    }
}

fn row(capsule: &Value) -> Vec<String> {
    let members = ["name", "version", "newest", "origin", "revoked"];
    let text = |name| capsule[name].as_str().unwrap_or_default().to_owned();
    members.map(text).into()
}
