//! Times, as people and the wire write them.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use jiff::Timestamp;

/// Reads a time on the command line.
pub(crate) fn time(text: &str) -> anyhow::Result<Timestamp> {
    text.parse()
        .context("a time is written like 2027-01-01T00:00:00Z")
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A time as people read it.
pub(crate) fn day_and_time(seconds: u64) -> String {
    let second = i64::try_from(seconds).ok();
    let time = second.and_then(|second| Timestamp::from_second(second).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}
