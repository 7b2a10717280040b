//! `soma key`: who may do what, for which tenant, until when.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use soma_capability::Narrowing;
use soma_host::ApiKey;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::budget::tokens;
use crate::answer::grouped;
use crate::client::{Body, Client, HostArgs, LocalKey, data_folder};
use crate::clock::time;
use crate::failure::Failure;
use crate::named_file::{self, MAX_TEXT_BYTES};
use crate::passphrase;
use crate::screen::{Screen, table, visible};

#[derive(clap::Subcommand)]
pub(crate) enum KeyCommand {
    Create(Create),
    List(List),
    Set(Set),
    /// Give a key a new secret; the old one opens nothing any more
    #[command(after_help = "Example:\n  soma key rotate 3f9a0c1d2e4b5a69")]
    Rotate(Identified),
    /// Revoke a key for good
    #[command(after_help = "Example:\n  soma key revoke 3f9a0c1d2e4b5a69")]
    Revoke(Identified),
    /// Put the data folder's admin key under a passphrase, and give it a new secret
    #[command(after_help = "Example:\n  soma key seal

Whoever has read the key before has nothing any more. From then on commands that need it ask for the
passphrase, of at least 8 characters, or take it from SOMA_PASSPHRASE; `soma call` and `soma list` use
the invoke-only key and never ask. Sealing it again gives it another passphrase.")]
    Seal(HostArgs),
    Unseal(Unseal),
}

/// Keep the data folder's admin key under no passphrase again
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma key unseal")]
pub(crate) struct Unseal {
    /// The host's data folder [default: $XDG_DATA_HOME/soma or ~/.local/share/soma]
    #[arg(long, env = "SOMA_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Make a key; its secret is shown this once
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma key create --tenant acme
  soma key create --tenant acme --name 'support bot' --tool soma/web/read --expires 2027-01-01T00:00:00Z
  soma key create --tenant acme --narrow less.toml
  soma key create --tenant acme --scope install --scope invoke")]
pub(crate) struct Create {
    /// The tenant whose key it is
    #[arg(long, default_value = soma_host::DEFAULT_TENANT)]
    tenant: String,

    /// What it is for, in your words
    #[arg(long, default_value = "")]
    name: String,

    /// What it may do; may be given more than once
    #[arg(long = "scope", value_enum, default_values = ["invoke"])]
    scopes: Vec<Scope>,

    /// The only tool it may call, as NAMESPACE/NAME/TOOL; may be given more than once
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,

    /// What its calls may use of the capsules' grants, as this TOML file says (docs/grants.md)
    #[arg(long, value_name = "FILE")]
    narrow: Option<PathBuf>,

    /// Tokens that a call may cost at most where it does not say so itself: 500, 10k, 1.5M
    /// [default: what the capsule's limits come to]
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    max_tokens: Option<u64>,

    /// Calls a minute, where that is less than the host's own bound for a key; a sixth of them may
    /// come at once
    #[arg(long, value_name = "N", value_parser = calls)]
    calls_per_minute: Option<NonZeroU32>,

    /// When it ends, as in 2027-01-01T00:00:00Z (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,

    #[command(flatten)]
    host: HostArgs,
}

/// List keys, without their secrets
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma key list --tenant acme")]
pub(crate) struct List {
    /// Only this tenant's
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    host: HostArgs,
}

/// Change a key, from its next request on; what is not named stays as it is
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma key set 3f9a0c1d2e4b5a69 --calls-per-minute 60 --max-tokens 10k
  soma key set 3f9a0c1d2e4b5a69 --no-calls-per-minute --expires 2027-01-01T00:00:00Z

Scopes, tools and the tenant of a key are for good: `soma key create` makes another one.")]
pub(crate) struct Set {
    /// The part of the key between `soma_` and the next `_`
    id: String,

    /// What it is for, in your words
    #[arg(long)]
    name: Option<String>,

    /// Tokens that a call may cost at most where it does not say so itself: 500, 10k, 1.5M
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    max_tokens: Option<u64>,

    /// As many tokens as the capsule's limits come to
    #[arg(long, conflicts_with = "max_tokens")]
    no_max_tokens: bool,

    /// Calls a minute, where that is less than the host's own bound for a key; a sixth of them may
    /// come at once
    #[arg(long, value_name = "N", value_parser = calls)]
    calls_per_minute: Option<NonZeroU32>,

    /// As many calls a minute as the host's own bound for a key allows
    #[arg(long, conflicts_with = "calls_per_minute")]
    no_calls_per_minute: bool,

    /// When it ends, as in 2027-01-01T00:00:00Z (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,

    /// It has no end
    #[arg(long, conflicts_with = "expires")]
    never_expires: bool,

    #[command(flatten)]
    host: HostArgs,
}

#[derive(clap::Args)]
pub(crate) struct Identified {
    /// The part of the key between `soma_` and the next `_`
    id: String,

    #[command(flatten)]
    host: HostArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// Everything that an administrator does, of every tenant: tenants and keys, grants, approvals,
    /// credentials, budgets, uninstalling, the audit log
    Admin,
    /// Install capsules for the tenant
    Install,
    /// Call the tenant's tools
    Invoke,
}

const HEADINGS: [&str; 9] = [
    "id",
    "tenant",
    "name",
    "scopes",
    "tools",
    "narrowed",
    "calls a minute",
    "max tokens",
    "state",
];

impl KeyCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Create(command) => create(command, screen).await,
            Self::List(command) => list(command, screen).await,
            Self::Set(command) => set(command, screen).await,
            Self::Rotate(Identified { id, host }) => {
                let client = Client::new(host, LocalKey::Admin)?;
                client.prepare(&id)?;
                let key = rotate(&client, &id).await?;
                client.keep(&secret(&key)?)?;
                show_secret(&key, screen)
            }
            Self::Seal(host) => seal(host, screen).await,
            Self::Unseal(Unseal { data }) => {
                let id = data_folder(data)?.unseal_admin()?;
                screen.show(&json!({"unsealed": id}), |out| {
                    writeln!(out, "under no passphrase any more: {id}")
                })
            }
            Self::Revoke(Identified { id, host }) => {
                let client = Client::new(host, LocalKey::Admin)?;
                client
                    .send(Method::DELETE, &["admin", "keys", &id], Body::None)
                    .await?;
                screen.show(&json!({"revoked": id}), |out| {
                    writeln!(out, "revoked: {id}")
                })
            }
        }
    }
}

async fn rotate(client: &Client, id: &str) -> Result<Value, Failure> {
    let path = ["admin", "keys", id, "rotate"];
    client.send(Method::POST, &path, Body::None).await
}

fn secret(key: &Value) -> Result<ApiKey, Failure> {
    let secret = key["secret"].as_str().unwrap_or_default();
    secret.parse().map_err(Failure::damaged)
}

/// The key gets a new secret on the way: the old one was on the disk, and in copies of it.
async fn seal(host: HostArgs, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let folder = client.folder()?;
    let id = folder.admin_key()?.id().to_owned();
    let passphrase = passphrase::new("admin")?;
    // Between the two nobody has the new secret but this process.
    let _taken = take_signals()?;
    let key = rotate(&client, &id).await?;
    folder.seal(&secret(&key)?, passphrase).map_err(|failure| {
        failure.hint(
            "the key has a new secret all the same: move its file away, and the next start of \
             `soma serve` makes another key",
        )
    })?;
    screen.show(&json!({"sealed": id}), |out| {
        writeln!(out, "under a passphrase, with a new secret: {id}")
    })?;
    screen.aside("Nobody can tell you the passphrase: who forgets it moves the file away, and has `soma serve` make another key.");
    Ok(())
}

/// Has this process outlive what asks it to end, from now on.
fn take_signals() -> io::Result<[Signal; 3]> {
    Ok([
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ])
}

async fn create(command: Create, screen: Screen) -> Result<(), Failure> {
    let Create {
        tenant,
        name,
        scopes,
        tools,
        narrow,
        max_tokens,
        calls_per_minute,
        expires,
        host,
    } = command;
    let mut wanted = json!({"tenant": tenant, "name": name, "scopes": scopes});
    if !tools.is_empty() {
        wanted["tools"] = json!(tools);
    }
    if let Some(file) = narrow {
        wanted["narrowed"] = json!(read(&file)?);
    }
    if let Some(tokens) = max_tokens {
        wanted["max_tokens"] = json!(tokens);
    }
    if let Some(calls) = calls_per_minute {
        wanted["calls_per_minute"] = json!(calls);
    }
    if let Some(expires) = expires {
        wanted["expires_at"] = json!(expires);
    }
    let client = Client::new(host, LocalKey::Admin)?;
    let body = Body::Json(wanted.to_string());
    let key = client.send(Method::POST, &["admin", "keys"], body).await?;
    show_secret(&key, screen)
}

/// Reads how many calls a minute, on the command line.
fn calls(text: &str) -> anyhow::Result<NonZeroU32> {
    let calls: u32 = text.parse()?;
    NonZeroU32::new(calls)
        .context("0 calls a minute is none: revoke the key instead, or leave this out")
}

impl Set {
    /// What is to be another: a member that is to go is null.
    fn changes(&self) -> Value {
        let expires = self.expires.map(|end| json!(end));
        let max_tokens = self.max_tokens.map(|most| json!(most));
        let calls = self.calls_per_minute.map(|most| json!(most));
        let mut changes = json!({});
        for (member, value, goes) in [
            ("name", self.name.as_ref().map(|name| json!(name)), false),
            ("max_tokens", max_tokens, self.no_max_tokens),
            ("calls_per_minute", calls, self.no_calls_per_minute),
            ("expires_at", expires, self.never_expires),
        ] {
            if goes || value.is_some() {
                changes[member] = json!(value);
            }
        }
        changes
    }
}

async fn set(command: Set, screen: Screen) -> Result<(), Failure> {
    let changes = command.changes();
    if changes == json!({}) {
        return Err(Failure::usage("nothing to change")
            .hint("`soma key set --help` shows what can be changed"));
    }
    let client = Client::new(command.host, LocalKey::Admin)?;
    let path = ["admin", "keys", &command.id];
    let body = Body::Json(changes.to_string());
    let key = client.send(Method::PATCH, &path, body).await?;
    screen.show(&key, |out| writeln!(out, "changed: {}", command.id))
}

fn read(file: &Path) -> Result<Narrowing, Failure> {
    let shown = file.display();
    let text = named_file::text(file, MAX_TEXT_BYTES)
        .map_err(|error| Failure::usage(format_args!("cannot read {shown}: {error}")))?;
    toml::from_str(&text)
        .map_err(|error| Failure::usage(format_args!("{shown} narrows nothing: {error}")))
}

/// The secret alone on standard output, fit for a file or a variable.
fn show_secret(key: &Value, screen: Screen) -> Result<(), Failure> {
    screen.show(key, |out| {
        writeln!(
            out,
            "{}",
            visible(key["secret"].as_str().unwrap_or_default())
        )
    })?;
    let id = key["id"].as_str().unwrap_or_default();
    screen.aside(&format!(
        "This is the key {id}. Keep it: it is not shown again."
    ));
    Ok(())
}

async fn list(List { tenant, host }: List, screen: Screen) -> Result<(), Failure> {
    let client = Client::new(host, LocalKey::Admin)?;
    let query = tenant.map(|tenant| ("tenant", tenant));
    let list = client.get(&["admin", "keys"], query.as_slice()).await?;
    let keys = list["keys"].as_array().into_iter().flatten();
    let now = Timestamp::now();
    let rows = keys.map(|key| row(key, now)).collect();
    screen.show(&list, |out| {
        table(out, &HEADINGS, rows, "There are no keys.")
    })
}

fn row(key: &Value, now: Timestamp) -> Vec<String> {
    let text = |member: &str| key[member].as_str().unwrap_or_default().to_owned();
    let words = |member: &str| {
        let items = key[member].as_array().into_iter().flatten();
        items
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let tools = if key["tools"].is_array() {
        words("tools")
    } else {
        "all".to_owned()
    };
    let narrowed = key["narrowed"].as_object().into_iter().flatten();
    let narrowed: Vec<&str> = narrowed.map(|(capsule, _)| capsule.as_str()).collect();
    let bound = |member: &str| key[member].as_u64().map(grouped).unwrap_or_default();
    let has_ended = |end: &str| end.parse::<Timestamp>().is_ok_and(|end| end <= now);
    let state = match (key["revoked_at"].as_str(), key["expires_at"].as_str()) {
        (Some(_), _) => "revoked".to_owned(),
        (None, Some(end)) if has_ended(end) => format!("expired {end}"),
        (None, Some(end)) => format!("until {end}"),
        (None, None) => "active".to_owned(),
    };
    vec![
        text("id"),
        text("tenant"),
        text("name"),
        words("scopes"),
        tools,
        narrowed.join(", "),
        bound("calls_per_minute"),
        bound("max_tokens"),
        state,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_bounds_of_a_key_and_whether_it_still_opens_anything() {
        let now: Timestamp = "2026-11-29T10:00:00Z".parse().unwrap();
        let key = |revoked_at: Value, expires_at: Value| {
            json!({
                "id": "3f9a", "tenant": "acme", "name": "bot", "scopes": ["invoke"],
                "max_tokens": 10_000, "revoked_at": revoked_at, "expires_at": expires_at,
            })
        };
        let (none, past, future) = (
            json!(null),
            json!("2026-11-29T10:00:00Z"),
            json!("2026-11-29T10:00:01Z"),
        );
        for (key, state) in [
            (key(none.clone(), none.clone()), "active"),
            (key(none.clone(), future), "until 2026-11-29T10:00:01Z"),
            (key(none, past.clone()), "expired 2026-11-29T10:00:00Z"),
            (key(past.clone(), past), "revoked"),
        ] {
            let row = row(&key, now);
            assert_eq!(row.len(), HEADINGS.len());
            assert_eq!(row[6..], ["", "10_000", state]);
        }
    }
}
