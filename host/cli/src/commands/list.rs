//! `soma list`: what a host has installed.

use serde_json::Value;

use crate::client::{Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, table};

/// List the capsules installed on a host, or their tools
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  soma list\n  soma list --tools --json")]
pub(crate) struct List {
    /// The tools that may be called, instead of the capsules
    #[arg(long)]
    tools: bool,

    #[command(flatten)]
    host: HostArgs,
}

impl List {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Invoke)?;
        let what = if self.tools { "tools" } else { "capsules" };
        let list = client.get(&[what], &[]).await?;
        let items = list[what].as_array().map(Vec::as_slice).unwrap_or_default();
        screen.show(&list, |out| {
            if self.tools {
                let rows = items.iter().map(tool_row).collect();
                table(
                    out,
                    &["capsule", "tool", "description"],
                    rows,
                    "There are no tools.",
                )
            } else {
                let rows = items.iter().map(capsule_row).collect();
                let nothing =
                    "No capsule is installed; `soma install NAMESPACE/NAME` installs one.";
                table(
                    out,
                    &["capsule", "version", "origin", "tools", "description"],
                    rows,
                    nothing,
                )
            }
        })
    }
}

fn capsule_row(capsule: &Value) -> Vec<String> {
    let tools = capsule["tools"].as_array().into_iter().flatten();
    let tools: Vec<&str> = tools.filter_map(Value::as_str).collect();
    vec![
        text(&capsule["name"]),
        version(capsule),
        origin(capsule),
        tools.join(", "),
        first_line(&capsule["description"]),
    ]
}

/// The version, and what became of it.
fn version(capsule: &Value) -> String {
    let version = text(&capsule["version"]);
    if capsule["revoked"].is_string() {
        format!("{version} (revoked)")
    } else if capsule["yanked"] == true {
        format!("{version} (yanked)")
    } else {
        version
    }
}

/// The log that it came from.
fn origin(capsule: &Value) -> String {
    match capsule["origin"].as_str() {
        Some(origin) => origin.to_owned(),
        None => "a file".to_owned(),
    }
}

fn tool_row(tool: &Value) -> Vec<String> {
    vec![
        text(&tool["capsule"]),
        text(&tool["name"]),
        first_line(&tool["description"]),
    ]
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn first_line(value: &Value) -> String {
    value
        .as_str()
        .and_then(|text| text.lines().next())
        .unwrap_or_default()
        .to_owned()
}
