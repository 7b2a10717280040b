//! Whom a budget is for, and for how long.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

use crate::db::{DAY, HOUR, MINUTE};

const EPOCH: Date = date(1970, 1, 1);
/// Characters of a session's id, at most.
const LONGEST_SESSION: usize = 128;

/// Whose calls a budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, Serialize)]
#[serde(tag = "level", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Level {
    /// All of the tenant's.
    Tenant,
    /// Those with one of its keys.
    Key {
        /// The key's id.
        key: String,
    },
    /// Those of one session of a key.
    Session {
        /// The key's id.
        key: String,
        /// The session's, as the caller chose it.
        session: SessionId,
    },
}

/// What a caller calls a session: 1 to 128 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct SessionId(String);

/// Why a text is no [`SessionId`].
#[derive(Debug, thiserror::Error)]
#[error("a session's id has 1 to {LONGEST_SESSION} characters, and no control characters")]
pub(crate) struct InvalidSession;

/// How long a window of a budget is: after it, all of it is there again. UTC.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Span {
    Minute,
    Day,
    Month,
    /// One window without an end.
    Lifetime,
}

impl Level {
    /// `tenant`, `key` or `session`.
    pub(crate) fn as_str(&self) -> &'static str {
        self.into()
    }

    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            Self::Tenant => None,
            Self::Key { key } | Self::Session { key, .. } => Some(key),
        }
    }

    pub(crate) fn session(&self) -> Option<&str> {
        match self {
            Self::Tenant | Self::Key { .. } => None,
            Self::Session { session, .. } => Some(session.as_str()),
        }
    }
}

impl SessionId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SessionId {
    type Error = InvalidSession;

    fn try_from(id: String) -> Result<Self, InvalidSession> {
        let is_long = id.chars().count() > LONGEST_SESSION;
        if id.is_empty() || is_long || id.chars().any(char::is_control) {
            return Err(InvalidSession);
        }
        Ok(Self(id))
    }
}

impl Span {
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }

    /// When the window began in which this moment is, in milliseconds; 0 for a lifetime.
    pub(crate) fn starts_at(self, moment: Timestamp) -> i64 {
        let millis = moment.as_millisecond();
        match self {
            Self::Minute => millis - millis.rem_euclid(MINUTE),
            Self::Day => millis - millis.rem_euclid(DAY),
            Self::Month => midnight(day(moment).first_of_month()),
            Self::Lifetime => 0,
        }
    }

    /// When the window ends in which this moment is; never, for a lifetime.
    pub(crate) fn ends_at(self, moment: Timestamp) -> Option<Timestamp> {
        let millis = match self {
            Self::Minute => self.starts_at(moment) + MINUTE,
            Self::Day => self.starts_at(moment) + DAY,
            Self::Month => midnight(day(moment).last_of_month()) + DAY,
            Self::Lifetime => return None,
        };
        Timestamp::from_millisecond(millis).ok()
    }
}

fn day(moment: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(moment).date()
}

/// Milliseconds from the epoch to the beginning of a day.
fn midnight(day: Date) -> i64 {
    day.duration_since(EPOCH).as_hours() * HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_calendars() {
        let moment: Timestamp = "2028-02-29T23:59:59.999Z".parse().unwrap();
        let window = |span: Span| {
            let starts = Timestamp::from_millisecond(span.starts_at(moment)).unwrap();
            let ends = span.ends_at(moment).map(|end| end.to_string());
            (starts.to_string(), ends.unwrap_or_default())
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let march = "2028-03-01T00:00:00Z";
        assert_eq!(window(Span::Minute), pair("2028-02-29T23:59:00Z", march));
        assert_eq!(window(Span::Day), pair("2028-02-29T00:00:00Z", march));
        assert_eq!(window(Span::Month), pair("2028-02-01T00:00:00Z", march));
        assert_eq!(window(Span::Lifetime), pair("1970-01-01T00:00:00Z", ""));
    }

    #[test]
    fn a_session_has_a_bounded_id() {
        let is_valid = |id: &str| SessionId::try_from(id.to_owned()).is_ok();
        assert!(is_valid("s") && is_valid(&"ä".repeat(LONGEST_SESSION)));
        assert!(!is_valid("") && !is_valid(&"ä".repeat(LONGEST_SESSION + 1)));
        assert!(!is_valid("a\0b"));
    }
}
