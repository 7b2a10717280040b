//! How long each kind of what happened is kept.

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::db::DAY;

/// Days for each kind; none is as the kind's default has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// Records of calls in the audit log; for ever by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Days>,
    /// All other records in it; for ever by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Days>,
    /// What calls used on each day; for ever by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Days>,
    /// Windows of budgets that are over; those of days 400 by default, of months for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Days>,
}

/// From 1 to 36500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Days(u32);

/// A number of days that is none.
#[derive(Debug, thiserror::Error)]
#[error("days are 1 to 36500")]
pub struct DaysError;

impl TryFrom<u32> for Days {
    type Error = DaysError;

    fn try_from(days: u32) -> Result<Self, DaysError> {
        match days {
            1..=36_500 => Ok(Self(days)),
            _ => Err(DaysError),
        }
    }
}

impl Days {
    /// As they are said.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn millis(self) -> i64 {
        i64::from(self.0) * DAY
    }
}

impl Keep {
    pub(crate) fn resolve(config: &Config) -> anyhow::Result<Self> {
        let given = config.keep.as_ref();
        let keep = given.map_or(Ok(Self::default()), |given| given.on(Self::default()));
        let keep = keep.context("keep")?;
        let Some(days) = config.audit_days else {
            return Ok(keep);
        };
        let days = Days::try_from(days).context("audit-days")?;
        if keep.calls.is_some() || keep.changes.is_some() {
            bail!("audit-days is both `calls` and `changes` of keep: give one or the other");
        }
        Ok(Self {
            calls: Some(days),
            changes: Some(days),
            ..keep
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(keep: &str, audit_days: Option<u32>) -> anyhow::Result<Keep> {
        Keep::resolve(&Config {
            keep: Some(keep.parse()?),
            audit_days,
            ..Config::default()
        })
    }

    #[test]
    fn each_kind_has_its_own_days() {
        let keep = resolve("calls=30,usage=400", None).unwrap();
        assert_eq!(keep.calls, Some(Days(30)));
        assert_eq!(keep.usage, Some(Days(400)));
        assert_eq!((keep.changes, keep.ledger), (None, None));
        let both = resolve("ledger=31", Some(7)).unwrap();
        assert_eq!((both.calls, both.changes), (Some(Days(7)), Some(Days(7))));
        for (keep, audit_days, words) in [
            ("calls=0", None, "1 to 36500"),
            ("calls=36501", None, "1 to 36500"),
            (
                "answers=1",
                None,
                "no `answers`: the names are calls, changes,",
            ),
            ("", None, "a name is missing"),
            ("calls=1,,usage=2", None, "a name is missing"),
            ("calls=1,", None, "a name is missing"),
            ("calls", None, "`calls` has no value"),
            (
                "calls=90d",
                None,
                "`90d` does not fit `calls`, which takes 1",
            ),
            ("calls=", None, "`` does not fit `calls`"),
            ("calls=-1", None, "`-1` does not fit `calls`"),
            ("calls=1,calls=2", None, "`calls` is there twice"),
            ("calls=30", Some(7), "one or the other"),
            ("usage=30", Some(0), "audit-days"),
        ] {
            let refused = format!("{:#}", resolve(keep, audit_days).unwrap_err());
            assert!(refused.contains(words), "{refused}");
            assert!(!refused.contains("TOML"), "{refused}");
        }
        assert_eq!(
            resolve(" calls=1 , usage = 02", None).unwrap().usage,
            Some(Days(2))
        );
    }
}
