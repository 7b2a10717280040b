//! Budgets as rows, and how near to its end each is.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde_json::Value;

use crate::answer::grouped;

/// What the rows of [`row`] stand under.
pub(super) const HEADINGS: [&str; 8] = [
    "of",
    "per",
    "limit",
    "used",
    "leased",
    "left",
    "refills in",
    "bound",
];

/// What the rows of [`top_row`] stand under.
pub(super) const TOP_HEADINGS: [&str; 6] = ["of", "per", "used", "leased", "limit", "spent"];

/// Cells of a bar.
const CELLS: usize = 10;

pub(super) fn row(budget: &Value, now: Timestamp) -> Vec<String> {
    vec![
        whose(budget),
        text(budget, "span"),
        grouped(number(budget, "tokens")),
        grouped(number(budget, "used")),
        grouped(number(budget, "leased")),
        grouped(number(budget, "left")),
        until(budget["refills_at"].as_str(), now),
        bound(budget).to_owned(),
    ]
}

pub(super) fn top_row(budget: &Value) -> Vec<String> {
    let spent = spent(budget);
    let percent = format!("{}.{} %", spent / 10, spent % 10);
    vec![
        whose(budget),
        text(budget, "span"),
        grouped(number(budget, "used")),
        grouped(number(budget, "leased")),
        grouped(number(budget, "tokens")),
        format!("{} {percent:>7}", bar(spent)),
    ]
}

/// What a budget that was just set refuses from the start, since more of it is used already.
pub(super) fn refuses(budget: &Value) -> Option<String> {
    let used = number(budget, "used");
    if budget["hard"] != true || used == 0 || used < number(budget, "tokens") {
        return None;
    }
    let end = match budget["refills_at"].as_str() {
        Some(time) => format!("until {time}"),
        None => "for good".to_owned(),
    };
    let used = grouped(used);
    Some(format!("{used} are used already: calls are refused {end}"))
}

/// Those first that are nearest to their end.
pub(super) fn sort(budgets: &mut [Value]) {
    budgets.sort_by_key(|budget| Reverse(spent(budget)));
}

/// Whose calls it bounds.
pub(crate) fn whose(budget: &Value) -> String {
    match (budget["key"].as_str(), budget["session"].as_str()) {
        (Some(key), Some(session)) => format!("session {session} of key {key}"),
        (Some(key), None) => format!("key {key}"),
        (None, _) => "tenant".to_owned(),
    }
}

pub(crate) fn bound(budget: &Value) -> &'static str {
    if budget["hard"] == true {
        "hard"
    } else {
        "soft"
    }
}

pub(crate) fn number(of: &Value, member: &str) -> u64 {
    of[member].as_u64().unwrap_or_default()
}

fn text(of: &Value, member: &str) -> String {
    of[member].as_str().unwrap_or_default().to_owned()
}

/// How much of it is used, in thousandths. More than all of it where it is soft.
fn spent(budget: &Value) -> u128 {
    let used = u128::from(number(budget, "used"));
    let all = u128::from(number(budget, "tokens"));
    // Of nothing everything is spent.
    (used * 1000).checked_div(all).unwrap_or(1000)
}

fn bar(spent: u128) -> String {
    let full = usize::try_from(spent / 100).unwrap_or(CELLS).min(CELLS);
    "█".repeat(full) + &"░".repeat(CELLS - full)
}

/// How long it is until this time, in its two largest units.
fn until(time: Option<&str>, now: Timestamp) -> String {
    let end = time.and_then(|time| time.parse::<Timestamp>().ok());
    let Some(end) = end else {
        return "never".to_owned();
    };
    let seconds = (end.as_second() - now.as_second()).max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days} d {} h", hours % 24)
    } else if hours > 0 {
        format!("{hours} h {} min", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn those_nearest_to_their_end_come_first() {
        let budget =
            |key: &str, used: u64, tokens: u64| json!({"key": key, "used": used, "tokens": tokens});
        let mut budgets = [
            budget("fresh", 0, 10),
            budget("half", 512, 1024),
            budget("over", 30, 20),
            budget("nothing", 0, 0),
        ];
        sort(&mut budgets);
        let order: Vec<String> = budgets.iter().map(whose).collect();
        assert_eq!(order, ["key over", "key nothing", "key half", "key fresh"]);
        let shown: Vec<String> = budgets.iter().map(|it| top_row(it)[5].clone()).collect();
        assert_eq!(
            shown,
            [
                "██████████ 150.0 %",
                "██████████ 100.0 %",
                "█████░░░░░  50.0 %",
                "░░░░░░░░░░   0.0 %",
            ]
        );
    }

    #[test]
    fn a_budget_that_is_used_already_refuses_and_a_soft_one_does_not() {
        let time = "2026-12-01T00:00:00Z";
        let set = |tokens: u64, used: u64, leased: u64| {
            json!({
                "tokens": tokens, "used": used, "leased": leased, "hard": true, "refills_at": time,
            })
        };
        let said = |budget: &Value| refuses(budget).unwrap_or_default();
        assert_eq!(said(&set(1_000, 999, 1)), "");
        assert_eq!(said(&set(0, 0, 0)), "");
        assert_eq!(
            said(&set(1_000, 1_500, 0)),
            format!("1_500 are used already: calls are refused until {time}")
        );
        let mut lifetime = set(5, 5, 20);
        lifetime["refills_at"] = Value::Null;
        assert_eq!(
            said(&lifetime),
            "5 are used already: calls are refused for good"
        );
        lifetime["hard"] = json!(false);
        assert_eq!(said(&lifetime), "");
    }

    #[test]
    fn the_time_until_a_window_ends() {
        let now: Timestamp = "2026-11-29T10:00:30Z".parse().unwrap();
        for (time, words) in [
            ("2026-11-29T10:00:00Z", "0 s"),
            ("2026-11-29T10:01:00Z", "30 s"),
            ("2026-11-29T10:03:00Z", "2 min 30 s"),
            ("2026-11-30T00:00:00Z", "13 h 59 min"),
            ("2026-12-01T00:00:00Z", "1 d 13 h"),
        ] {
            assert_eq!(until(Some(time), now), words);
        }
        assert_eq!(until(None, now), "never");
    }

    #[test]
    fn a_row_says_whose_and_how_much() {
        let budget = json!({
            "level": "session", "key": "3f9a", "session": "s1", "span": "lifetime", "tokens": 5_000_000,
            "hard": true, "used": 1_000, "leased": 20, "left": 4_998_980, "refills_at": null,
        });
        assert_eq!(
            row(&budget, Timestamp::UNIX_EPOCH),
            [
                "session s1 of key 3f9a",
                "lifetime",
                "5_000_000",
                "1_000",
                "20",
                "4_998_980",
                "never",
                "hard",
            ]
        );
        assert_eq!(bound(&json!({"hard": false})), "soft");
    }
}
