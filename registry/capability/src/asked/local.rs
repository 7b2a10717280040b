//! What a capsule asks of its host: storage, settings, other capsules' tools.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::list::{self, and, distinct};
use super::name::ConfigKey;
use crate::{CapsuleName, Tool, ToolPattern};

/// The largest quota that can be asked for: 1 GiB.
const MAX_QUOTA_KIB: u64 = 1 << 20;
/// As many as a capsule can offer.
const MAX_TOOLS: usize = 64;

/// A key-value store of the capsule's own, one for each tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KvCapability {
    /// Kibibytes of keys and values together, and of 32 bytes for each entry; at most 1 GiB.
    #[serde(deserialize_with = "quota")]
    pub quota_kib: u64,
}

/// A setting that an operator gives a value, plain and not secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConfigCapability {
    /// Its name.
    pub key: ConfigKey,
    /// What for, in the author's words: one line of at most 200 characters.
    #[serde(deserialize_with = "list::why")]
    pub why: String,
}

/// Tools of another capsule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ToolCapability {
    /// Whose tools.
    pub capsule: CapsuleName,
    /// 1–64 tools; all of them, now and later, where none is named.
    #[serde(
        default,
        deserialize_with = "tools",
        skip_serializing_if = "Option::is_none"
    )]
    pub tools: Option<Vec<String>>,
}

fn quota<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let quota = u64::deserialize(deserializer)?;
    if !(1..=MAX_QUOTA_KIB).contains(&quota) {
        return Err(D::Error::custom(format_args!(
            "`quota-kib` must be between 1 and {MAX_QUOTA_KIB}"
        )));
    }
    Ok(quota)
}

fn tools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let tools: Vec<String> = list::of(deserializer, "tools", MAX_TOOLS)?;
    if let Some(bad) = tools.iter().find(|name| !Tool::is_name(name)) {
        return Err(D::Error::custom(format_args!(
            "`{}` cannot name a tool: 1 to 64 characters of a-z, A-Z, 0-9, `_` and `-`",
            super::shown(bad)
        )));
    }
    distinct(&tools, String::clone)?;
    Ok(Some(tools))
}

impl KvCapability {
    /// Whether this is at least as much.
    pub fn covers(self, other: Self) -> bool {
        self.quota_kib >= other.quota_kib
    }

    /// The same in bytes.
    pub fn quota_bytes(self) -> u64 {
        self.quota_kib.saturating_mul(1024)
    }

    /// The smaller of the two.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            quota_kib: self.quota_kib.min(other.quota_kib),
        }
    }
}

impl ConfigCapability {
    /// Whether this is the same setting.
    pub fn covers(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl ToolCapability {
    /// The tools, one by one.
    pub fn patterns(&self) -> Vec<ToolPattern> {
        let pattern = |tool| ToolPattern::new(self.capsule.clone(), tool);
        match &self.tools {
            None => vec![pattern(None)],
            Some(tools) => tools.iter().cloned().map(Some).map(pattern).collect(),
        }
    }

    /// Whether this tool is asked for.
    pub fn has(&self, capsule: &CapsuleName, tool: &str) -> bool {
        let tools = self.tools.as_ref();
        self.capsule == *capsule && tools.is_none_or(|tools| tools.iter().any(|own| own == tool))
    }

    /// Whether every tool that `other` asks for is asked for here too.
    pub fn covers(&self, other: &Self) -> bool {
        let tools = match (&self.tools, &other.tools) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs.iter().all(|tool| mine.contains(tool)),
        };
        tools && self.capsule == other.capsule
    }
}

impl fmt::Display for KvCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = self.quota_kib;
        write!(f, "may keep up to {quota} KiB of data from call to call")
    }
}

impl fmt::Display for ConfigCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "may read the setting `{}`", self.key)
    }
}

impl fmt::Display for ToolCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capsule = &self.capsule;
        match self.tools.as_deref() {
            None => write!(f, "may call every tool of {capsule}"),
            Some([tool]) => write!(f, "may call the tool {tool} of {capsule}"),
            Some(tools) => write!(f, "may call the tools {} of {capsule}", and(tools)),
        }
    }
}
