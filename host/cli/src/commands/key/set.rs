//! `soma key set`: what can be changed of a key.

use std::num::NonZeroU32;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::calls;
use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::clock::time;
use crate::commands::budget::tokens_of_a_call;
use crate::failure::Failure;
use crate::key_id::KeyId;
use crate::screen::Screen;

/// Change a key, from its next request on; what is not named stays as it is
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma key set 3f9a0c1d2e4b5a69 --calls-per-minute 60 --max-tokens 10k
  soma key set 3f9a0c1d2e4b5a69 --no-calls-per-minute --expires 2027-01-01T00:00:00Z

Scopes, tools and the tenant of a key are for good: `soma key create` makes another one.")]
pub(crate) struct Set {
    /// The part of the key between `soma_` and the next `_`
    #[arg(value_parser = KeyId)]
    id: String,

    /// What it is for, in your words
    #[arg(long)]
    name: Option<String>,

    /// Tokens that each of its calls may cost at most: 500, 10k, 1.5M
    #[arg(long, value_name = "TOKENS", value_parser = tokens_of_a_call, allow_negative_numbers = true)]
    max_tokens: Option<u64>,

    /// As many tokens as the capsule's limits come to
    #[arg(long, conflicts_with = "max_tokens")]
    no_max_tokens: bool,

    /// Calls a minute, where that is less than the host's own bound for a key; a sixth of them may
    /// come at once
    #[arg(long, value_name = "N", value_parser = calls, allow_negative_numbers = true)]
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

impl Set {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let changes = self.changes();
        if changes == json!({}) {
            return Err(Failure::usage("nothing to change")
                .hint("`soma key set --help` shows what can be changed"));
        }
        let client = Client::new(self.host, LocalKey::Admin)?;
        let path = ["admin", "keys", &self.id];
        let body = Body::Json(changes.to_string());
        let key = client.send(Method::PATCH, &path, body).await?;
        screen.show(&key, |out| writeln!(out, "changed: {}", self.id))
    }

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
