//! `soma update`: newer versions in the place of those that are installed, once it is seen what
//! changes.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use serde_json::json;
use soma_capability::CapsuleName;

use super::install::send;
use crate::client::{Client, HostArgs, LocalKey};
use crate::difference::difference;
use crate::failure::{Exit, Failure};
use crate::screen::{Screen, strong, visible};

/// Show what newer versions would change, ask, and install them
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma update
  soma update soma/web --yes")]
pub(crate) struct Update {
    /// Only these, as NAMESPACE/NAME
    capsules: Vec<CapsuleName>,

    /// Install without asking
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    host: HostArgs,
}

impl Update {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        let list = client.get(&["outdated"], &[]).await?;
        let all = list["outdated"].as_array().cloned().unwrap_or_default();
        let mut updated = Vec::new();
        for outdated in &all {
            let name: CapsuleName = serde_json::from_value(outdated["name"].clone())
                .map_err(|e| Failure::failed(format_args!("the host's answer is damaged: {e}")))?;
            if !self.capsules.is_empty() && !self.capsules.contains(&name) {
                continue;
            }
            let Some(version) = outdated["newest"].as_str() else {
                let installed = outdated["version"].as_str().unwrap_or_default();
                screen.aside(&format!(
                    "{name} {installed} was revoked, and nothing is newer"
                ));
                continue;
            };
            let path = ["capsules", name.namespace(), name.name()];
            let old = client.get(&path, &[]).await?;
            let wanted = json!({
                "package": name, "version": format!("={version}"), "origin": outdated["origin"],
            });
            let mut preview = wanted.clone();
            preview["preview"] = json!(true);
            screen.step("Fetching", &format!("{name} {version}"));
            let new = send(&client, &preview).await?;
            let changes = difference(&old, &new);
            tell(&name, &changes, screen);
            if !self.yes && !agreed(&name, screen)? {
                continue;
            }
            // The very file that was shown.
            let mut wanted = wanted;
            wanted["digest"] = new["digest"].clone();
            let done = send(&client, &wanted).await?;
            updated.push(json!({
                "name": name, "version": done["version"], "digest": done["digest"],
                "changes": changes,
            }));
        }
        screen.show(&json!({"updated": updated}), |out| {
            for one in &updated {
                let text = |member: &str| visible(one[member].as_str().unwrap_or_default());
                writeln!(out, "updated: {} {}", text("name"), text("version"))?;
            }
            if updated.is_empty() {
                writeln!(out, "Nothing was updated.")?;
            }
            Ok(())
        })
    }
}

fn tell(name: &CapsuleName, changes: &[String], screen: Screen) {
    screen.aside(&format!("{name}:"));
    for change in changes {
        screen.aside(&format!("  {change}"));
    }
}

fn agreed(name: &CapsuleName, screen: Screen) -> Result<bool, Failure> {
    if screen.json || !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            format_args!("nobody is there to be asked about {name}"),
        )
        .hint("give --yes to update without being asked"));
    }
    let question = strong(&format!("Update {name}? [y/N] "));
    let mut out = anstream::stderr().lock();
    write!(out, "{question}")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
