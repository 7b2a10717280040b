//! `soma approve`: an administrator's word on an update that is held.

use std::io::{self, IsTerminal as _};

use reqwest::Method;
use serde_json::{Value, json};
use soma_capability::CapsuleName;

use super::grant;
use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::difference::difference;
use crate::failure::{Exit, Failure};
use crate::screen::{Screen, table, visible};
use crate::{columns, passphrase, screen};

/// Have an update serve that is held, once it is seen what changes
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma approve
  soma approve acme/weather --show
  soma approve acme/weather")]
pub(crate) struct Approve {
    /// NAMESPACE/NAME; without it, the updates that are held are listed
    capsule: Option<CapsuleName>,

    /// Show what it changes, and nothing else
    #[arg(long, requires = "capsule", conflicts_with = "yes")]
    show: bool,

    #[command(flatten)]
    word: Word,
}

/// Whose capsule it is, and whether to ask.
#[derive(clap::Args)]
pub(super) struct Word {
    /// The tenant whose capsule it is [default: the key's own]
    #[arg(long)]
    pub(super) tenant: Option<String>,

    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,

    #[command(flatten)]
    pub(super) host: HostArgs,
}

impl Approve {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let Word { tenant, yes, host } = self.word;
        let client = Client::new(host, LocalKey::Admin)?;
        let Some(capsule) = self.capsule else {
            return list(&client, tenant.as_deref(), screen).await;
        };
        let standing = standing(&client, &capsule, tenant.as_deref()).await?;
        let held = &standing["held"];
        if held.is_null() {
            let none = format_args!("no update of {capsule} is held");
            return Err(Failure::new(Exit::NotFound, none));
        }
        if self.show {
            return show(&standing, screen);
        }
        tell(&capsule, &standing, screen);
        passphrase::agree(yes, &format!("Have it serve as {capsule}?"))?;
        let tenant = tenant.as_deref();
        let value = give(&client, &capsule, tenant, "approve", &held["digest"]).await?;
        screen.show(&value, |out| {
            let version = visible(value["version"].as_str().unwrap_or_default());
            writeln!(out, "serves from now on: {capsule} {version}")
        })?;
        match screen.json {
            true => Ok(()),
            false => grant::offer(&client, &capsule, tenant, screen).await,
        }
    }
}

/// What changes, as a result.
fn show(standing: &Value, screen: Screen) -> Result<(), Failure> {
    let changes = difference(&standing["serving"], &standing["held"]);
    screen.show(standing, |out| {
        for line in columns::draw(&changes, screen::width(io::stdout())) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

async fn list(client: &Client, tenant: Option<&str>, screen: Screen) -> Result<(), Failure> {
    let list = client
        .get(&["admin", "updates"], &of_tenant(tenant))
        .await?;
    let items = list["updates"].as_array().map(Vec::as_slice);
    let rows = items.unwrap_or_default().iter().map(|update| {
        let text = |member: &str| update[member].as_str().unwrap_or_default().to_owned();
        let mut because = reasons(update);
        if let Some(reason) = update["revoked"].as_str() {
            because = format!("revoked: {reason}");
        }
        vec![text("capsule"), text("version"), because]
    });
    let rows = rows.collect();
    screen.show(&list, |out| {
        table(
            out,
            &["capsule", "held", "because"],
            rows,
            "No update is held.",
        )
    })
}

/// What serves, what is held and what served before.
pub(super) async fn standing(
    client: &Client,
    capsule: &CapsuleName,
    tenant: Option<&str>,
) -> Result<Value, Failure> {
    let path = ["admin", "updates", capsule.namespace(), capsule.name()];
    client.get(&path, &of_tenant(tenant)).await
}

/// Gives the word on the file of this digest.
pub(super) async fn give(
    client: &Client,
    capsule: &CapsuleName,
    tenant: Option<&str>,
    word: &str,
    digest: &Value,
) -> Result<Value, Failure> {
    let path = [
        "admin",
        "updates",
        capsule.namespace(),
        capsule.name(),
        word,
    ];
    let body = Body::Json(json!({ "digest": digest }).to_string());
    client
        .send_with(Method::POST, &path, &of_tenant(tenant), body)
        .await
}

/// What came of an installation, once the word on it is given where it is held and somebody is there
/// to give it, or has given it beforehand.
pub(super) async fn settle(
    client: &Client,
    tenant: Option<&str>,
    mut done: Value,
    yes: bool,
    screen: Screen,
) -> Result<Value, Failure> {
    if done["change"] != "held" {
        return Ok(done);
    }
    let capsule = serde_json::from_value(done["name"].clone());
    let capsule: CapsuleName = capsule.map_err(Failure::damaged)?;
    let standing = match standing(client, &capsule, tenant).await {
        Ok(standing) => standing,
        // Who may install need not be who approves.
        Err(failure) if failure.is_for_want_of_a_key() => return Ok(done),
        Err(failure) => return Err(failure),
    };
    tell(&capsule, &standing, screen);
    let question = format!("Have it serve as {capsule}?");
    let may_ask = !screen.json && io::stdin().is_terminal();
    if yes || (may_ask && passphrase::confirm(&question)?) {
        give(client, &capsule, tenant, "approve", &done["digest"]).await?;
        done["change"] = json!("replaced");
    }
    Ok(done)
}

/// Says why an update is held, and what it changes.
fn tell(capsule: &CapsuleName, standing: &Value, screen: Screen) {
    let (serving, held) = (&standing["serving"], &standing["held"]);
    screen.aside(&format!("{capsule} is held, because {}:", reasons(held)));
    tell_changes(serving, held, screen);
    if held["reasons"]
        .as_array()
        .is_some_and(|all| all.iter().any(|it| it == "owners-changed"))
    {
        let namespace = capsule.namespace();
        screen.aside(&format!(
            "  `soma owner list {namespace}` shows who owns {namespace} now"
        ));
    }
}

/// Shows what changes from one version to another.
pub(super) fn tell_changes(from: &Value, to: &Value, screen: Screen) {
    let width = screen::width(io::stderr());
    screen.drawn(&columns::draw(&difference(from, to), width));
}

fn reasons(held: &Value) -> String {
    let codes = held["reasons"].as_array().into_iter().flatten();
    let words = codes.map(|code| match code.as_str().unwrap_or_default() {
        "asks-more" => "it asks for more",
        "tools-changed" => "its tools have changed",
        "owners-changed" => "its publisher or their keys have changed",
        "older" => "it is older",
        "rolled-back" => "it was rolled back",
        "not-automatic" => "updates of this publisher need your word",
        "too-young" => "it is too young",
        other => other,
    });
    words.collect::<Vec<_>>().join(", ")
}
