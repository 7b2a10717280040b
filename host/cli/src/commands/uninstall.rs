//! `soma uninstall`: a capsule off a host.

use reqwest::Method;
use serde_json::json;
use soma_capability::CapsuleName;

use super::grant::Standing;
use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::passphrase;
use crate::screen::Screen;

/// Uninstall a capsule from a host, and with it what it is granted and what it keeps
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma uninstall local/hello
  soma uninstall local/hello --yes")]
pub(crate) struct Uninstall {
    /// NAMESPACE/NAME
    capsule: CapsuleName,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    host: HostArgs,
}

impl Uninstall {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        let capsule = &self.capsule;
        if !self.yes {
            tell(&client, capsule, screen).await?;
        }
        passphrase::agree(self.yes, &format!("Uninstall {capsule}?"))?;
        let path = ["capsules", capsule.namespace(), capsule.name()];
        client.send(Method::DELETE, &path, Body::None).await?;
        screen.show(&json!({"uninstalled": capsule}), |out| {
            writeln!(out, "uninstalled: {capsule}")
        })
    }
}

/// Says what ends with it.
async fn tell(client: &Client, capsule: &CapsuleName, screen: Screen) -> Result<(), Failure> {
    let path = |what| ["admin", what, capsule.namespace(), capsule.name()];
    let standing = Standing::read(client.get(&path("grants"), &[]).await?)?;
    let store = client.get(&path("stores"), &[]).await?;
    let number = |member: &str| store[member].as_u64().unwrap_or_default();
    let (kept, used) = (number("entries"), number("used_bytes"));
    let granted = standing.granted.unwrap_or_default();
    let entries = granted.http.len()
        + granted.links.len()
        + usize::from(granted.kv.is_some())
        + granted.tools.len()
        + granted.config.iter().count();
    let counted = |number: u64| match number {
        1 => "1 entry".to_owned(),
        number => format!("{number} entries"),
    };
    if entries > 0 {
        let entries = counted(entries as u64);
        screen.aside(&format!("what is granted to {capsule} ends: {entries}"));
    }
    if kept > 0 {
        let kept = counted(kept);
        screen.aside(&format!(
            "what {capsule} keeps is forgotten: {kept}, {used} bytes"
        ));
    }
    Ok(())
}
