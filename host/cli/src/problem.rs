//! Problems (RFC 9457) from a host, as failures of a command.

use serde_json::Value;
use soma_registry::MarketplacesError;
use soma_registry::api::Problem;
use soma_registry::client::{ClientError, VerifyError};

use crate::failure::{Exit, Failure};

/// Problems whose details say all that their titles say.
const SAY_ALL: [&str; 5] = [
    "bad-request",
    "conflict",
    "revoked",
    "log-distrusted",
    "marketplace-failed",
];

/// Members of a request that details begin with, and the flags that give them.
const FLAGS: [(&str, &str); 6] = [
    ("`expires_at` ", "--expires"),
    ("`kind` ", "--kind"),
    ("`narrowed` ", "--narrow"),
    ("`outcome` ", "--outcome"),
    ("`scopes` ", "--scope"),
    ("`tools` ", "--tool"),
];

/// What a problem (RFC 9457) means here.
pub(crate) fn refusal(status: u16, problem: Value) -> Failure {
    let text = |member: &str| problem[member].as_str().filter(|text| !text.is_empty());
    let code = text("type")
        .and_then(|t| t.rsplit(':').next())
        .unwrap_or_default();
    let exit = match (status, code) {
        (_, "invalid-input" | "invalid-json") => Exit::InvalidInput,
        (400, _) => Exit::Usage,
        (401 | 403, _) => Exit::NotAllowed,
        (404, _) => Exit::NotFound,
        (_, "marketplace-failed") => Exit::Unreachable,
        (429 | 503, _) | (_, "tool-rate-limited" | "idempotency-in-progress") => Exit::Busy,
        _ => Exit::Failed,
    };
    let title = text("title").map_or_else(|| format!("the host answered {status}"), str::to_owned);
    let errors = problem["errors"].as_array().into_iter().flatten();
    let details: Vec<String> = errors
        .map(|error| {
            let part = |member: &str| error[member].as_str().unwrap_or_default();
            at_pointer(part("pointer"), part("detail"))
        })
        .collect();
    let message = match text("detail") {
        // These name what they are about, and the title would only say it twice.
        Some(detail) if SAY_ALL.contains(&code) || code.starts_with("unknown-") => in_flags(detail),
        // Where there is no more to say than what happened.
        Some(detail) if detail.eq_ignore_ascii_case(&title) => title,
        // With places told one by one, the detail only counts them.
        Some(detail) if details.is_empty() => format!("{title}: {detail}"),
        _ => title,
    };
    let mut failure = Failure::new(exit, message).details(details);
    if matches!(code, "budget-exhausted" | "budget-refilling") {
        failure = failure.hint(refill(text("refills_at")));
    } else if let Some(millis) = problem["retry_after_ms"].as_u64() {
        failure = failure.hint(format_args!("try again in {} s", millis.div_ceil(1000)));
    } else if code == "internal"
        && let Some(id) = text("invocation")
    {
        failure = failure.hint(format_args!("the host's log says why, under {id}"));
    } else if let Some(hint) = hint_for(code) {
        failure = failure.hint(hint);
    }
    failure.data(problem)
}

/// A detail as whoever wrote a command line reads it.
fn in_flags(detail: &str) -> String {
    let named = FLAGS.iter().find_map(|(member, flag)| {
        let rest = detail.strip_prefix(member)?;
        Some(format!("{flag} {rest}"))
    });
    named.unwrap_or_else(|| detail.to_owned())
}

fn marketplace_refusal(mut problem: Problem) -> Failure {
    let said = serde_json::to_value(&problem).unwrap_or_default();
    let hint = marketplace_hint(problem.code());
    // Its details name what they are about, and the titles would only say it twice.
    if !problem.detail.is_empty() {
        problem.title.clone_from(&problem.detail);
    }
    let value = serde_json::to_value(&problem).unwrap_or_default();
    let failure = refusal(problem.status, value).data(said);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A marketplace that does not do as it was asked.
impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            // What no marketplace says.
            ClientError::Problem(problem) if problem.code() == "no-such-path" => {
                Self::new(Exit::Unreachable, "there is no marketplace at this address")
                    .hint("is it the address of a host?")
            }
            ClientError::Problem(problem) => marketplace_refusal(*problem),
            ClientError::Address { .. } | ClientError::Token => Self::usage(error),
            ClientError::Unreachable { .. } | ClientError::Status { .. } => {
                Self::new(Exit::Unreachable, error)
            }
            error => Self::failed(error),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Client(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

impl From<MarketplacesError> for Failure {
    fn from(error: MarketplacesError) -> Self {
        match error {
            MarketplacesError::Write { .. } | MarketplacesError::Toml(_) => Self::failed(error),
            error => Self::usage(error),
        }
    }
}

fn marketplace_hint(code: &str) -> Option<&'static str> {
    match code {
        "unauthorized" => Some("`soma login` gets a token, or set SOMA_TOKEN to one"),
        "insufficient-scope" => Some("`soma token create` makes a token with other scopes"),
        _ => None,
    }
}

/// A place in the input, and what is wrong there.
pub(crate) fn at_pointer(pointer: &str, detail: &str) -> String {
    let place = if pointer.is_empty() {
        "the input"
    } else {
        pointer
    };
    format!("{place}: {detail}")
}

/// What helps where a budget is spent.
fn refill(at: Option<&str>) -> String {
    let more = "`soma budget show` shows what is left, `soma budget set` allows more";
    match at {
        Some(time) => format!("it begins anew at {time}; {more}"),
        None => more.to_owned(),
    }
}

fn hint_for(code: &str) -> Option<&'static str> {
    match code {
        "unknown-pin" => Some("`soma pin list` shows them"),
        "marketplace-failed" => {
            Some("where another marketplace has it too, `--marketplace URL` asks that one alone")
        }
        "unknown-package" => Some(
            "`soma search` shows what a marketplace has, `soma info NAMESPACE/NAME` which versions",
        ),
        "unknown-capsule" => Some("`soma list` shows what is installed"),
        "unknown-tool" => Some("`soma list --tools` shows the tools"),
        "unknown-tenant" => Some("`soma tenant list` shows them"),
        "unknown-key" => Some("`soma key list` shows them"),
        "unknown-invocation" => Some(
            "behind a balancer ask the host that answered; with an admin key in SOMA_KEY a host shows \
             the calls of all its keys",
        ),
        "unknown-budget" => Some("`soma budget show` shows them"),
        "out-of-fuel" | "out-of-time" | "out-of-memory" => Some(
            "a capsule asks for more under [limits] in its capsule.toml; the host's maximum-limits hold",
        ),
        "out-of-tokens" => Some(
            "--max-tokens, or the budget that the call is under, allowed it no more; `soma budget show` \
             shows what is left",
        ),
        "unauthorized" => Some(
            "set SOMA_KEY to a key of this host; where the data folder's own key does not fit any \
             more, the next start of `soma serve` makes a new one, but in the place of one under a \
             passphrase only once its file is moved away",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_become_sentences() {
        let failure = refusal(
            422,
            json!({
                "type": "urn:soma:problem:invalid-input",
                "title": "The input does not fit",
                "detail": "in 1 place",
                "errors": [{"pointer": "/url", "detail": "1 is not of type \"string\""}],
            }),
        );
        assert_eq!(failure.message(), "The input does not fit");
        assert_eq!(
            failure.detail_lines(),
            ["/url: 1 is not of type \"string\""]
        );
        assert_eq!(failure.to_json()["error"]["exit"], 6);
        assert_eq!(refusal(502, json!([])).message(), "the host answered 502");
        let missing = json!({
            "type": "urn:soma:problem:unknown-tenant",
            "title": "There is no such tenant",
            "detail": "there is no tenant `acme`",
        });
        assert_eq!(refusal(404, missing).message(), "there is no tenant `acme`");
        for (detail, said) in [
            ("`expires_at` is in the past", "--expires is in the past"),
            ("`a b` is no key's id", "`a b` is no key's id"),
        ] {
            let bad = json!({
                "type": "urn:soma:problem:bad-request",
                "title": "The request is malformed",
                "detail": detail,
            });
            assert_eq!(refusal(400, bad).message(), said);
        }
        for (status, refills, exit, start) in [
            (402, json!(null), 1, "`soma budget show`"),
            (
                429,
                json!("2026-12-01T00:00:00Z"),
                7,
                "it begins anew at 2026-12-01",
            ),
        ] {
            let spent = json!({
                "type": "urn:soma:problem:budget-exhausted",
                "title": "The budget is spent",
                "refills_at": refills,
                "retry_after_ms": 1000,
            });
            let failure = refusal(status, spent);
            assert_eq!(failure.to_json()["error"]["exit"], exit);
            assert!(failure.hint_text().unwrap().starts_with(start), "{status}");
        }
        let forbidden = serde_json::from_value(json!({
            "type": "urn:soma:problem:insufficient-scope",
            "title": "The token does not allow this",
            "status": 403,
            "detail": "this token lacks the scope `yank`",
        }));
        let failure: Failure = ClientError::Problem(forbidden.unwrap()).into();
        assert_eq!(failure.message(), "this token lacks the scope `yank`");
        let shown = failure.to_json();
        assert_eq!(shown["error"]["exit"], 4);
        let title = &shown["error"]["data"]["title"];
        assert_eq!(title, "The token does not allow this");
    }
}
