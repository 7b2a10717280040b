//! What a capsule asks for beyond computing, as its manifest declares it and as an operator reads
//! it. Asking is not getting: a host gives what its operator granted.

mod host;
mod http;
pub(crate) mod list;
mod local;
mod method;
mod name;
mod operation;
mod origin;
mod path;
mod request_path;
mod segment;
#[cfg(test)]
mod soundness;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::CapsuleName;

pub use host::{HostError, HostPattern};
pub use http::{HttpCapability, MAX_METHODS, MAX_PATHS};
pub(crate) use http::{methods, paths};
pub use local::{ConfigCapability, KvCapability, ToolCapability};
pub use method::{Method, MethodError};
pub use name::{AskedNameError, ConfigKey, CredentialName};
pub use operation::{GraphqlKind, MAX_OPERATIONS, Operation, OperationError, Protocol};
pub(crate) use operation::{checked, covers, hides, operations};
pub use origin::{OriginPattern, OriginPatternError};
pub use path::{PathTemplate, TemplateError};
pub use request_path::{MAX_PATH_BYTES, PathError, normalise_path};

const MAX_HTTP: usize = 32;
const MAX_CONFIG: usize = 64;
const MAX_TOOLS: usize = 32;
/// Nobody reads what is sent to where a link leads.
pub(crate) const LINK_OPERATIONS: &str = "an entry for `links` names no operations";

/// Everything one capsule asks for; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Capabilities {
    /// Requests to servers, at most 32 entries.
    #[serde(deserialize_with = "http", skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpCapability>,
    /// Links to what a credential opens, to be given away: for requests like these, each with the
    /// credential that signs it; at most 32 entries.
    #[serde(deserialize_with = "links", skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<HttpCapability>,
    /// A store of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv: Option<KvCapability>,
    /// Settings, at most 64.
    #[serde(deserialize_with = "config", skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<ConfigCapability>,
    /// Other capsules' tools, at most 32 capsules.
    #[serde(deserialize_with = "tools", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolCapability>,
}

/// One thing that is asked for, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence<'a> {
    /// What, in our words: "may read the setting `region`".
    pub asks: String,
    /// What for, in the author's.
    pub why: Option<&'a str>,
}

fn http<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HttpCapability>, D::Error> {
    list::of(deserializer, "entries for `http`", MAX_HTTP)
}

fn links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HttpCapability>, D::Error> {
    let links: Vec<HttpCapability> = list::of(deserializer, "entries for `links`", MAX_HTTP)?;
    if links.iter().any(|link| link.credential.is_none()) {
        let why = "an entry for `links` names the credential that signs them";
        return Err(serde::de::Error::custom(why));
    }
    if links.iter().any(|link| link.operations.is_some()) {
        return Err(serde::de::Error::custom(LINK_OPERATIONS));
    }
    Ok(links)
}

fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ConfigCapability>, D::Error> {
    let config: Vec<ConfigCapability> = list::of(deserializer, "settings", MAX_CONFIG)?;
    list::distinct(&config, |setting| setting.key.to_string())?;
    Ok(config)
}

fn tools<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ToolCapability>, D::Error> {
    let tools: Vec<ToolCapability> = list::of(deserializer, "capsules", MAX_TOOLS)?;
    list::distinct(&tools, |tool| tool.capsule.to_string())?;
    Ok(tools)
}

impl Capabilities {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this setting is asked for.
    pub fn asks_setting(&self, key: &ConfigKey) -> bool {
        self.config.iter().any(|asked| asked.key == *key)
    }

    /// Whether this tool of another capsule is asked for.
    pub fn asks_tool(&self, capsule: &CapsuleName, tool: &str) -> bool {
        self.tools.iter().any(|asked| asked.has(capsule, tool))
    }

    /// Whether all that `other` asks for is asked for here too: an update from this to `other`
    /// asks for nothing more. May say no where the answer is yes, never the other way round. The
    /// authors' reasons do not count.
    pub fn covers(&self, other: &Self) -> bool {
        let kv = match (self.kv, other.kv) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine.covers(theirs),
        };
        kv && covers_requests(&self.http, &other.http)
            && covers_requests(&self.links, &other.links)
            && covers_each(&self.config, &other.config, ConfigCapability::covers)
            && covers_each(&self.tools, &other.tools, ToolCapability::covers)
    }

    /// One sentence for each thing that is asked for.
    pub fn sentences(&self) -> Vec<Sentence<'_>> {
        let sentence = |asks: &dyn fmt::Display, why| Sentence {
            asks: asks.to_string(),
            why,
        };
        let http = self.http.iter().map(|h| sentence(h, Some(h.why.as_str())));
        let kv = self.kv.iter().map(|kv| sentence(kv, None));
        let config = self
            .config
            .iter()
            .map(|c| sentence(c, Some(c.why.as_str())));
        let tools = self.tools.iter().map(|tool| sentence(tool, None));
        let links = self.links.iter().map(|h| Sentence {
            asks: h.as_link(),
            why: Some(h.why.as_str()),
        });
        http.chain(links)
            .chain(kv)
            .chain(config)
            .chain(tools)
            .collect()
    }
}

/// One entry may be covered by several, each a part of its methods and paths.
fn covers_requests(mine: &[HttpCapability], theirs: &[HttpCapability]) -> bool {
    theirs.iter().all(|their| {
        their.methods.iter().all(|method| {
            let covered = |path| mine.iter().any(|my| my.covers_one(their, method, path));
            their.paths.iter().all(covered)
        })
    })
}

fn covers_each<T>(mine: &[T], theirs: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    theirs
        .iter()
        .all(|their| mine.iter().any(|my| covers(my, their)))
}

/// A text from outside, for an error: short, and without characters that could forge a line.
pub(crate) fn shown(text: &str) -> String {
    let short = text.chars().take(80).flat_map(char::escape_debug);
    short.collect()
}
