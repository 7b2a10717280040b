//! `soma update`: newer versions in the place of those that are installed, once it is seen what
//! changes.

use serde_json::json;
use soma_capability::CapsuleName;

use super::{approve, grant, install, outdated};
use crate::client::{Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, visible};

/// Install newer versions, show what they change, and ask whether they may serve
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma update
  soma update soma/web --yes")]
pub(crate) struct Update {
    /// Only these, as NAMESPACE/NAME
    capsules: Vec<CapsuleName>,

    /// Have them serve without asking
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    host: HostArgs,
}

impl Update {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        for capsule in &self.capsules {
            // Here, where it is told by its name that it is not installed.
            let path = ["capsules", capsule.namespace(), capsule.name()];
            client.get(&path, &[]).await?;
        }
        let list = client.get(&["outdated"], &[]).await?;
        outdated::warn(&list, screen);
        let all = list["outdated"].as_array().cloned().unwrap_or_default();
        let (mut updated, mut held) = (Vec::new(), Vec::new());
        for newer in &all {
            let name = serde_json::from_value(newer["name"].clone());
            let name: CapsuleName = name.map_err(Failure::damaged)?;
            if !self.capsules.is_empty() && !self.capsules.contains(&name) {
                continue;
            }
            let Some(version) = newer["newest"].as_str() else {
                let installed = newer["version"].as_str().unwrap_or_default();
                screen.aside(&format!(
                    "{name} {installed} was revoked, and nothing is newer"
                ));
                continue;
            };
            let wanted = json!({
                "package": name, "version": format!("={version}"), "origin": newer["origin"],
            });
            screen.step("Installing", &format!("{name} {version}"));
            let done = install::send(&client, None, &wanted).await?;
            let done = approve::settle(&client, None, done, self.yes, screen).await?;
            if done["change"] == "replaced" && !screen.json {
                grant::offer(&client, &name, None, screen).await?;
            }
            let list = match done["change"].as_str() {
                Some("held") => &mut held,
                _ => &mut updated,
            };
            list.push(json!({
                "name": name, "version": done["version"], "digest": done["digest"],
            }));
        }
        screen.show(&json!({"updated": updated, "held": held}), |out| {
            for (what, list) in [("updated", &updated), ("held until `soma approve`", &held)] {
                for one in list {
                    let text = |member: &str| visible(one[member].as_str().unwrap_or_default());
                    writeln!(out, "{what}: {} {}", text("name"), text("version"))?;
                }
            }
            if let [one, ..] = &held[..] {
                let name = visible(one["name"].as_str().unwrap_or_default());
                writeln!(out, "`soma approve {name}` shows what changes, and asks")?;
            }
            if updated.is_empty() && held.is_empty() {
                writeln!(out, "Nothing was updated.")?;
            }
            Ok(())
        })
    }
}
