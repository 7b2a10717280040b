//! Problems (RFC 9457) from a host, as failures of a command.

use serde_json::Value;
use soma_registry::MarketplacesError;
use soma_registry::api::Problem;
use soma_registry::client::{ClientError, VerifyError};

use crate::failure::{Exit, Failure};

/// Problems whose details say all that their titles say.
const SAY_ALL: [&str; 6] = [
    "bad-request",
    "conflict",
    "revoked",
    "log-distrusted",
    "marketplace-failed",
    "out-of-tokens",
];

/// Members of a request that details begin with, and the flags that give them.
const FLAGS: [(&str, &str); 7] = [
    ("`expires_at` ", "--expires"),
    ("`from` ", "--from"),
    ("`kind` ", "--kind"),
    ("`narrowed` ", "--narrow"),
    ("`outcome` ", "--outcome"),
    ("`scopes` ", "--scope"),
    ("`tools` ", "--tool"),
];

/// How details end that name a header, where the hint names the flag.
const ASK_BY_HEADER: &str = ": ask for fewer with Soma-Max-Tokens";

/// What a problem (RFC 9457) means here.
pub(crate) fn refusal(status: u16, problem: Value) -> Failure {
    let text = |member: &str| problem[member].as_str().filter(|text| !text.is_empty());
    let code = text("type")
        .and_then(|t| t.rsplit(':').next())
        .unwrap_or_default();
    let exit = match (status, code) {
        (_, "invalid-input" | "invalid-json") => Exit::InvalidInput,
        (400, _) => Exit::Usage,
        (401..=403, _) => Exit::NotAllowed,
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
    let detail = text("detail").map(|it| it.strip_suffix(ASK_BY_HEADER).unwrap_or(it));
    let message = match detail {
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
        failure = failure.hint(short(&problem));
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

/// What helps where a budget has not enough left. Whoever called may be nobody that sets budgets.
fn short(problem: &Value) -> String {
    let number = |member: &str| problem[member].as_u64().unwrap_or_default();
    let (left, limit, wanted) = (number("left"), number("limit"), number("wanted"));
    let is_too_much = problem["span"] != "lifetime" && (1..wanted).contains(&limit);
    let mut ways = Vec::new();
    if left > 0 || is_too_much {
        ways.push("`--max-tokens N` asks for fewer".to_owned());
    }
    if let Some(time) = problem["refills_at"].as_str() {
        ways.push(format!("it begins anew at {time}"));
    }
    ways.push("whoever administers the host can raise it".to_owned());
    ways.join("; ")
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
            "the key, or what was left of a budget, allowed it no more: whoever administers the host can \
             raise either",
        ),
        "unauthorized" => Some(
            "set SOMA_KEY to a key of this host; where the data folder's own key holds no more, or has \
             ended, move its file away: the next start of `soma serve` makes another one",
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
        let spent = json!({
            "type": "urn:soma:problem:out-of-tokens",
            "title": "The call ran out of tokens",
            "detail": "the call ran out of its 10 tokens",
        });
        let spent = refusal(424, spent);
        assert_eq!(spent.message(), "the call ran out of its 10 tokens");
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

    #[test]
    fn a_budget_that_is_short_says_what_whoever_called_can_do() {
        let raise = "whoever administers the host can raise it";
        let (fewer, anew) = (
            "`--max-tokens N` asks for fewer",
            "it begins anew at 2026-12-01T00:00:00Z",
        );
        let time = Some("2026-12-01T00:00:00Z");
        for (span, [limit, left, wanted], refills_at, hint) in [
            ("lifetime", [3, 0, 1], None, vec![raise]),
            ("lifetime", [3, 0, 5], None, vec![raise]),
            ("lifetime", [3, 1, 2], None, vec![fewer, raise]),
            ("month", [3, 0, 5], None, vec![fewer, raise]),
            ("month", [0, 0, 1], None, vec![raise]),
            ("month", [3, 0, 1], time, vec![anew, raise]),
            ("month", [3, 2, 3], time, vec![fewer, anew, raise]),
        ] {
            let (status, code, exit) = match refills_at {
                Some(_) => (429, "budget-refilling", 7),
                None => (402, "budget-exhausted", 4),
            };
            let problem = json!({
                "type": format!("urn:soma:problem:{code}"),
                "title": "A budget has not enough left",
                "span": span,
                "limit": limit,
                "left": left,
                "wanted": wanted,
                "refills_at": refills_at,
            });
            let failure = refusal(status, problem.clone());
            assert_eq!(failure.to_json()["error"]["exit"], exit, "{problem}");
            assert_eq!(failure.hint_text(), Some(&*hint.join("; ")), "{problem}");
        }
    }
}
