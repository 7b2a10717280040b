//! Which tools are meant: those that a key may call, or that a capsule is granted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::as_text::as_text;
use crate::asked::shown;
use crate::{CapsuleName, Tool};

/// `namespace/name/tool`, or `namespace/name/*` for all of a capsule's, later ones too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ToolPattern {
    capsule: CapsuleName,
    /// None is every tool.
    tool: Option<String>,
}

/// A text that names no tools.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `namespace/name/tool` nor `namespace/name/*`")]
pub struct ToolPatternError(String);

impl ToolPattern {
    /// A tool of a capsule; every one without a name.
    pub(crate) fn new(capsule: CapsuleName, tool: Option<String>) -> Self {
        Self { capsule, tool }
    }

    /// Whether this tool is meant.
    pub fn covers(&self, capsule: &CapsuleName, tool: &str) -> bool {
        self.capsule == *capsule && self.tool.as_deref().is_none_or(|own| own == tool)
    }

    /// Whether everything is meant here that is meant by the other.
    pub fn includes(&self, other: &Self) -> bool {
        self.capsule == other.capsule && (self.tool.is_none() || self.tool == other.tool)
    }

    /// Whether a tool could be meant by both.
    pub fn meets(&self, other: &Self) -> bool {
        self.includes(other) || other.includes(self)
    }
}

impl FromStr for ToolPattern {
    type Err = ToolPatternError;

    fn from_str(text: &str) -> Result<Self, ToolPatternError> {
        let parts = text
            .rsplit_once('/')
            .and_then(|(capsule, tool)| Some((capsule.parse().ok()?, tool)));
        match parts {
            Some((capsule, "*")) => Ok(Self::new(capsule, None)),
            Some((capsule, tool)) if Tool::is_name(tool) => {
                Ok(Self::new(capsule, Some(tool.to_owned())))
            }
            _ => Err(ToolPatternError(shown(text))),
        }
    }
}

impl fmt::Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.capsule,
            self.tool.as_deref().unwrap_or("*")
        )
    }
}

as_text!(ToolPattern, ToolPatternError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_name() {
        let pattern = |text: &str| text.parse::<ToolPattern>();
        let jq = "soma/jq".parse().unwrap();
        assert!(pattern("soma/jq/*").unwrap().covers(&jq, "run"));
        assert!(pattern("soma/jq/run").unwrap().covers(&jq, "run"));
        assert!(!pattern("soma/jq/run").unwrap().covers(&jq, "walk"));
        assert!(!pattern("soma/web/*").unwrap().covers(&jq, "run"));
        for bad in [
            "",
            "*",
            "soma/*",
            "soma/*/*",
            "soma/jq",
            "soma/jq/a b",
            "a/b/c/d",
        ] {
            assert!(pattern(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn patterns_meet_where_both_mean_a_tool() {
        let pattern = |text: &str| text.parse::<ToolPattern>().unwrap();
        let meet = |one, other| pattern(one).meets(&pattern(other));
        assert!(meet("soma/jq/*", "soma/jq/run"));
        assert!(meet("soma/jq/run", "soma/jq/run"));
        assert!(!meet("soma/jq/run", "soma/jq/walk"));
        assert!(!meet("soma/jq/*", "soma/web/*"));
    }
}
