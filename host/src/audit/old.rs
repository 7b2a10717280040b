//! Which records are older than their kind is kept.

use jiff::Timestamp;
use serde_json::Value;

use super::entry::is_of_a_call;
use crate::keep::{Days, Keep};

/// Whether a record goes.
pub(super) fn is_over(record: &Value, keep: Keep, now: Timestamp) -> bool {
    let days = if is_of_a_call(record) {
        keep.calls
    } else {
        keep.changes
    };
    let time = record["time"].as_str().and_then(|time| time.parse().ok());
    days.zip(time)
        .is_some_and(|(days, time): (Days, Timestamp)| {
            time.as_millisecond() < now.as_millisecond() - days.millis()
        })
}

/// What went, in words; none where everything is kept.
pub(super) fn said(keep: Keep) -> Option<String> {
    let older = |what: &str, days: Days| format!("{what}older than {} days", days.number());
    match (keep.calls, keep.changes) {
        (None, None) => None,
        (Some(calls), Some(changes)) if calls == changes => Some(older("", calls)),
        (Some(calls), Some(changes)) => Some(format!(
            "{}, {}",
            older("calls ", calls),
            older("changes ", changes)
        )),
        (Some(calls), None) => Some(older("calls ", calls)),
        (None, Some(changes)) => Some(older("changes ", changes)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_and_changes_go_when_they_are_to() {
        let now: Timestamp = "2027-03-31T12:00:00Z".parse().unwrap();
        let goes = |kind: &str, time: &str, keep: Keep| {
            is_over(&json!({"kind": kind, "time": time}), keep, now)
        };
        let days = |days: u32| Days::try_from(days).ok();
        let both = Keep {
            calls: days(1),
            changes: days(30),
            ..Keep::default()
        };
        let (yesterday, month) = ("2027-03-30T11:59:59Z", "2027-03-01T11:59:59Z");
        for kind in ["call", "intent", "refusal", "replay"] {
            assert!(goes(kind, yesterday, both), "{kind}");
            assert!(!goes(kind, "2027-03-30T12:00:01Z", both), "{kind}");
            assert!(!goes(kind, month, Keep::default()), "{kind}");
        }
        for kind in ["grant", "start", "erased", "restored"] {
            assert!(!goes(kind, yesterday, both), "{kind}");
            assert!(goes(kind, month, both), "{kind}");
        }
        assert!(!goes("call", "no time", both));
        assert_eq!(
            said(both).as_deref(),
            Some("calls older than 1 days, changes older than 30 days")
        );
        let same = Keep {
            changes: days(1),
            ..both
        };
        assert_eq!(said(same).as_deref(), Some("older than 1 days"));
        assert_eq!(said(Keep::default()), None);
    }
}
