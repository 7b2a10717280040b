//! `soma key create`: a key, and what it may do.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;
use soma_capability::{Narrowing, ToolPattern};

use super::{calls, show_secret};
use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::clock::time;
use crate::commands::budget::tokens_of_a_call;
use crate::failure::Failure;
use crate::named_file::{self, MAX_TEXT_BYTES};
use crate::screen::Screen;

/// Make a key; its secret is shown this once
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma key create --tenant acme
  soma key create --tenant acme --name 'support bot' --tool soma/web/read --expires 2027-01-01T00:00:00Z
  soma key create --tenant acme --narrow less.toml
  soma key create --tenant acme --scope install --scope invoke")]
pub(crate) struct Create {
    /// The tenant whose key it is, whichever key makes it
    #[arg(long, default_value = soma_host::DEFAULT_TENANT)]
    tenant: String,

    /// What it is for, in your words
    #[arg(long, default_value = "")]
    name: String,

    /// What it may do; may be given more than once
    #[arg(long = "scope", value_enum, default_values = ["invoke"])]
    scopes: Vec<Scope>,

    /// The only tool it may call, as NAMESPACE/NAME/TOOL, or NAMESPACE/NAME/* for all of a
    /// capsule's; may be given more than once
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<ToolPattern>,

    /// What its calls may use of the capsules' grants, as this TOML file says (docs/grants.md)
    #[arg(long, value_name = "FILE")]
    narrow: Option<PathBuf>,

    /// Tokens that each of its calls may cost at most: 500, 10k, 1.5M [default: what the capsule's
    /// limits come to]
    #[arg(long, value_name = "TOKENS", value_parser = tokens_of_a_call, allow_negative_numbers = true)]
    max_tokens: Option<u64>,

    /// Calls a minute, where that is less than the host's own bound for a key; a sixth of them may
    /// come at once
    #[arg(long, value_name = "N", value_parser = calls, allow_negative_numbers = true)]
    calls_per_minute: Option<NonZeroU32>,

    /// When it ends, as in 2027-01-01T00:00:00Z (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,

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

impl Create {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let Self {
            tenant,
            name,
            scopes,
            tools,
            narrow,
            max_tokens,
            calls_per_minute,
            expires,
            host,
        } = self;
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
}

fn read(file: &Path) -> Result<Narrowing, Failure> {
    let shown = file.display();
    let text = named_file::text(file, MAX_TEXT_BYTES);
    let text = text.map_err(|e| Failure::unreadable(file, e))?;
    toml::from_str(&text)
        .map_err(|error| Failure::usage(format_args!("{shown} narrows nothing: {error}")))
}
