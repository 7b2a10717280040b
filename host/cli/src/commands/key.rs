//! `soma key`: who may do what, for which tenant, until when.

mod create;
mod list;
mod seal;
mod set;

use std::num::NonZeroU32;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use soma_host::ApiKey;

use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::key_id::KeyId;
use crate::screen::{Screen, visible};

#[derive(clap::Subcommand)]
pub(crate) enum KeyCommand {
    Create(create::Create),
    List(list::List),
    Set(set::Set),
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
    Unseal(seal::Unseal),
}

#[derive(clap::Args)]
pub(crate) struct Identified {
    /// The part of the key between `soma_` and the next `_`
    #[arg(value_parser = KeyId)]
    id: String,

    #[command(flatten)]
    host: HostArgs,
}

impl KeyCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Create(command) => command.run(screen).await,
            Self::List(command) => command.run(screen).await,
            Self::Set(command) => command.run(screen).await,
            Self::Rotate(Identified { id, host }) => {
                let client = Client::new(host, LocalKey::Admin)?;
                client.prepare(&id)?;
                let key = rotate(&client, &id).await?;
                client.keep(&secret(&key)?)?;
                show_secret(&key, screen)
            }
            Self::Seal(host) => seal::seal(host, screen).await,
            Self::Unseal(command) => command.run(screen),
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

/// Reads how many calls a minute, on the command line.
fn calls(text: &str) -> anyhow::Result<NonZeroU32> {
    let calls = text.parse::<u32>();
    let calls = calls.context("calls a minute are a whole number, such as 60")?;
    NonZeroU32::new(calls)
        .context("0 calls a minute is none: revoke the key instead, or leave this out")
}
