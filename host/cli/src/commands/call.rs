//! `soma call`: one tool on a host, with the key that can do nothing else.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;
use soma_capability::CapsuleName;

use super::budget::{tokens, tokens_of_a_call};
use crate::answer::{self, grouped};
use crate::client::{Answered, Body, Client, HostArgs, LocalKey};
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

    /// Show the call's invocation and what it used, on standard error; of an answer that was given
    /// again, that it was
    #[arg(long)]
    usage: bool,

    /// What the call may cost at most, in tokens: 500, 10k, 1.5M [default: what its key and its
    /// budgets allow]
    #[arg(long, value_name = "TOKENS", value_parser = tokens_of_a_call, allow_negative_numbers = true)]
    max_tokens: Option<u64>,

    /// The session that the call is of: a name of your own for calls that share a budget
    #[arg(long, value_name = "ID", value_parser = session)]
    session: Option<HeaderValue>,

    /// What all the calls of the session may cost at most together, in tokens
    #[arg(long, value_name = "TOKENS", requires = "session", value_parser = tokens, allow_negative_numbers = true)]
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
        let answered = client.send_headed(Method::POST, &path, headers, body);
        let Answered { is_replayed, said } = answered.await?;
        let show_usage = |call: Option<&str>, usage: Option<&Value>| {
            answer::show_usage(call, usage, screen);
            if let Some(call) = call.filter(|_| is_replayed) {
                screen.aside(&replayed(call));
            }
        };
        let answer = said.map_err(|failure| {
            if self.usage {
                let call = failure.member("invocation").and_then(Value::as_str);
                show_usage(call, failure.used());
            }
            explained(failure, self.max_tokens)
        })?;
        let member = |name: &str| {
            let member = answer.get(name);
            member.ok_or_else(|| Failure::damaged(format_args!("there is no `{name}` in it")))
        };
        let output = member("output")?;
        // With the order and the space that the host wrote: a receipt has the hash of that.
        screen.show(&answer, |out| answer::show(output, out))?;
        if self.usage {
            let value = |name: &str| {
                let value = serde_json::from_str::<Value>(member(name)?.get());
                value.map_err(Failure::damaged)
            };
            show_usage(value("invocation")?.as_str(), Some(&value("usage")?));
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

/// What there is to know of an answer that was given before.
fn replayed(call: &str) -> String {
    format!("replayed: this is the answer to call {call}, and nothing was charged again")
}

/// The failure with a hint for whoever called, who may be nobody that administers the host.
fn explained(failure: Failure, max_tokens: Option<u64>) -> Failure {
    // Its key may have allowed it fewer than were asked for.
    let is_spent = |most: u64| failure.message().ends_with(&format!(" its {most} tokens"));
    if failure.is_problem("revoked") {
        failure.hint("`soma outdated` shows whether there is a newer version")
    } else if failure.is_problem("out-of-tokens") && max_tokens.is_some_and(is_spent) {
        failure.hint("--max-tokens bounded it: a greater number gives it more")
    } else if let (None, Some(wanted)) = (max_tokens, wanted(&failure)) {
        let wanted = grouped(wanted);
        failure.details([format!("{wanted} are what the key has each call ask for")])
    } else {
        failure
    }
}

/// How many tokens a budget had not enough left for. Where nobody said how many, one would do.
fn wanted(failure: &Failure) -> Option<u64> {
    let wanted = failure.member("wanted")?.as_u64()?;
    (wanted > 1).then_some(wanted)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::problem::refusal;

    #[test]
    fn a_refusal_says_where_the_number_comes_from_that_nobody_named() {
        let lines = |wanted: u64, max_tokens: Option<u64>| {
            let detail = "it has 3 left: ask for fewer with Soma-Max-Tokens";
            let problem = json!({
                "type": "urn:soma:problem:budget-exhausted", "title": "No", "detail": detail,
                "span": "month", "limit": 3, "left": 3, "wanted": wanted,
            });
            let failure = explained(refusal(402, problem), max_tokens);
            assert_eq!(failure.message(), "No: it has 3 left");
            assert!(failure.hint_text().unwrap().contains("--max-tokens"));
            failure.detail_lines().to_vec()
        };
        let of_the_key = "10_000 are what the key has each call ask for";
        assert_eq!(lines(10_000, None), [of_the_key]);
        assert!(lines(10_000, Some(10_000)).is_empty());
    }

    #[test]
    fn the_flag_is_named_where_it_was_the_bound() {
        let hint = |max_tokens: u64| {
            let problem = json!({
                "type": "urn:soma:problem:out-of-tokens", "title": "No",
                "detail": "the call ran out of its 10 tokens",
            });
            let failure = explained(refusal(424, problem), Some(max_tokens));
            failure.hint_text().unwrap().to_owned()
        };
        assert!(hint(10).contains("--max-tokens"), "{}", hint(10));
        // Its key allowed it no more.
        assert!(!hint(100).contains("--max-tokens"), "{}", hint(100));
    }
}
