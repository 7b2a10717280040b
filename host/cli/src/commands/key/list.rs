//! `soma key list`: the keys that there are, and what each may do.

use jiff::Timestamp;
use serde_json::Value;

use crate::answer::grouped;
use crate::client::{Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, table};

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

impl List {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        let query = self.tenant.map(|tenant| ("tenant", tenant));
        let list = client.get(&["admin", "keys"], query.as_slice()).await?;
        let keys = list["keys"].as_array().into_iter().flatten();
        let now = Timestamp::now();
        let rows = keys.map(|key| row(key, now)).collect();
        screen.show(&list, |out| {
            table(out, &HEADINGS, rows, "There are no keys.")
        })
    }
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
    use serde_json::json;

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
