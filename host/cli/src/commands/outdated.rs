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
        let nothing = match (unseen(&list), distrusted(&list)) {
            ([], []) => "Everything from a marketplace is at its newest version.",
            _ => "Nothing newer is known.",
        };
        screen.show(&list, |out| {
            let headings = ["capsule", "installed", "newest", "origin", "revoked"];
            table(out, &headings, rows, nothing)
        })?;
        warn(&list, screen);
        Ok(())
    }
}

/// Says which logs the host could not look at: what is newer there is not known.
pub(super) fn warn(list: &Value, screen: Screen) {
    for log in unseen(list) {
        let origin = log["origin"].as_str().unwrap_or_default();
        screen.aside(&format!(
            "The log {origin} could not be looked at for {} s: there may be newer versions.",
            log["seconds"]
        ));
    }
    for origin in distrusted(list).iter().filter_map(Value::as_str) {
        screen.aside(&format!(
            "The log {origin} has contradicted itself and is not believed any more: nothing newer \
             comes from it (docs/operating.md)."
        ));
    }
}

fn distrusted(list: &Value) -> &[Value] {
    list["distrusted"].as_array().map_or(&[], Vec::as_slice)
}

fn unseen(list: &Value) -> &[Value] {
    list["unseen"].as_array().map_or(&[], Vec::as_slice)
}

fn row(capsule: &Value) -> Vec<String> {
    let members = ["name", "version", "newest", "origin", "revoked"];
    let text = |name| capsule[name].as_str().unwrap_or_default().to_owned();
    members.map(text).into()
}
