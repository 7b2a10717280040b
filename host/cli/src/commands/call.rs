//! `soma call`: one tool on a host, with the key that can do nothing else.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use soma_capability::CapsuleName;

use super::budget::tokens;
use crate::answer;
use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::Screen;

/// Call a tool of a capsule that a host has installed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma call soma/jq jq '{\"filter\": \".a\", \"input\": {\"a\": 1}}'
  curl -s https://api.example.com/data.json | soma call acme/report summarise -
  soma call acme/report summarise @input.json --max-tokens 10k --session report-17
  soma call acme/orders place @order.json --idempotency-key order-17")]
pub(crate) struct Call {
    /// NAMESPACE/NAME
    capsule: CapsuleName,

    /// The tool's name
    tool: String,

    /// The input: JSON, `-` for standard input, or @FILE
    #[arg(default_value = "{}")]
    input: String,

    /// Show what the call used, on standard error
    #[arg(long)]
    usage: bool,

    /// What the call may cost at most, in tokens: 500, 10k, 1.5M [default: what its budgets allow]
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    max_tokens: Option<u64>,

    /// The session that the call is of: a name of your own for calls that share a budget
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<HeaderValue>,

    /// What all the calls of the session may cost at most together, in tokens
    #[arg(long, value_name = "TOKENS", requires = "session", value_parser = tokens)]
    session_tokens: Option<u64>,

    /// Run the call once, however often it is sent with this text: what it was answered is given
    /// again for a day
    #[arg(long, value_name = "TEXT", value_parser = idempotency_key)]
    idempotency_key: Option<HeaderValue>,

    #[command(flatten)]
    host: HostArgs,
}

impl Call {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let input = answer::input(&self.input)?;
        let headers = self.headers();
        let client = Client::new(self.host, LocalKey::Invoke)?;
        let path = [
            "capsules",
            self.capsule.namespace(),
            self.capsule.name(),
            "tools",
            &self.tool,
        ];
        let body = Body::Json(input);
        let answer = client.send_headed(Method::POST, &path, headers, body).await;
        let answer = answer.map_err(|failure| {
            if let (true, Some(usage)) = (self.usage, failure.used()) {
                answer::show_usage(usage, screen);
            }
            explained(failure, self.max_tokens.is_some())
        })?;
        let member = |name: &str| {
            let member = answer.get(name);
            member.ok_or_else(|| Failure::damaged(format_args!("there is no `{name}` in it")))
        };
        let output = member("output")?;
        // With the order and the space that the host wrote: a receipt has the hash of that.
        screen.show(&answer, |out| answer::show(output, out))?;
        if self.usage {
            let usage = serde_json::from_str::<Value>(member("usage")?.get());
            answer::show_usage(&usage.map_err(Failure::damaged)?, screen);
        }
        Ok(())
    }

    /// What it may cost, and what it is called, for the host.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(tokens) = self.max_tokens {
            headers.insert("soma-max-tokens", tokens.into());
        }
        if let Some(session) = &self.session {
            headers.insert("soma-session", session.clone());
        }
        if let Some(tokens) = self.session_tokens {
            headers.insert("soma-session-tokens", tokens.into());
        }
        if let Some(key) = &self.idempotency_key {
            headers.insert("idempotency-key", key.clone());
        }
        headers
    }
}

/// The failure with a hint for whoever called, who may be nobody that administers the host.
fn explained(failure: Failure, is_bounded: bool) -> Failure {
    if failure.is_problem("revoked") {
        failure.hint("`soma outdated` shows whether there is a newer version")
    } else if failure.is_problem("out-of-tokens") && is_bounded {
        failure.hint("--max-tokens bounded it: a greater number gives it more")
    } else {
        failure
    }
}

fn session(text: &str) -> anyhow::Result<HeaderValue> {
    HeaderValue::try_from(text).context("a session's ID is made of ASCII characters")
}

fn idempotency_key(text: &str) -> anyhow::Result<HeaderValue> {
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        (1..=255).contains(&text.len()) && is_visible,
        "it is 1 to 255 visible ASCII characters"
    );
    Ok(HeaderValue::try_from(text)?)
}
