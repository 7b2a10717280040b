//! What things are called: a namespace or an account ([`Name`]), and a capsule
//! (`namespace/name`, [`CapsuleName`]).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// The name of a namespace or an account: 1–64 characters of `a-z`, `0-9` and `-`, beginning with
/// a letter, with no `-` at its end or twice in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Name(String);

/// `namespace/name`. Each part is 1–64 characters of `a-z`, `0-9` and `-`, begins with a letter,
/// and has no `-` at its end or twice in a row: one canonical form, nothing that looks like it. A copy
/// shares the text: one call has many.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CapsuleName {
    text: Arc<str>,
    /// Where the slash is.
    slash: usize,
}

/// Why a text is not a capsule's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is not exactly one `/`.
    #[error("a capsule's name is `namespace/name`")]
    Parts,
    /// A part breaks the rules.
    #[error(
        "`{0}` must be 1 to 64 characters of a-z, 0-9 and `-`, begin with a letter, and not end with `-` or have `--`"
    )]
    Part(String),
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl CapsuleName {
    /// Joins the two parts, where both are well formed.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        check(namespace)?;
        check(name)?;
        Ok(Self {
            text: [namespace, "/", name].concat().into(),
            slash: namespace.len(),
        })
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the slash: who publishes it.
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The part before the slash, as a name of its own.
    pub fn publisher(&self) -> Name {
        Name(self.namespace().to_owned())
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }
}

/// Whether a text may be one part of a capsule's name.
pub(crate) fn is_part(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--")
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn check(part: &str) -> Result<(), NameError> {
    if is_part(part) {
        return Ok(());
    }
    // The text comes from outside: shown short, and without characters that could forge a line.
    Err(NameError::Part(
        part.chars()
            .take(80)
            .collect::<String>()
            .escape_debug()
            .to_string(),
    ))
}

impl FromStr for CapsuleName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((namespace, name)) if !name.contains('/') => Self::new(namespace, name),
            _ => Err(NameError::Parts),
        }
    }
}

impl fmt::Display for CapsuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for CapsuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// All of a namespace's stand together, which they would not as texts: `-` is before `/`.
impl Ord for CapsuleName {
    fn cmp(&self, other: &Self) -> Ordering {
        let own = (self.namespace(), self.name());
        own.cmp(&(other.namespace(), other.name()))
    }
}

impl PartialOrd for CapsuleName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for CapsuleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl From<CapsuleName> for String {
    fn from(name: CapsuleName) -> Self {
        name.as_str().to_owned()
    }
}

impl TryFrom<String> for CapsuleName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        assert_eq!(
            "soma/jq".parse::<CapsuleName>().unwrap().to_string(),
            "soma/jq"
        );
        let long = "a".repeat(65);
        for bad in [
            "", "jq", "a/b/c", "/b", "a/", "A/b", "a_b/c", "1a/b", "a-/b", "a--b/c", "../b", "ä/b",
            &long,
        ] {
            assert!(bad.parse::<CapsuleName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_namespace_stands_together() {
        let mut names = ["a/z", "a-b/c", "a/b"].map(|name| name.parse::<CapsuleName>().unwrap());
        names.sort();
        assert_eq!(names.map(String::from), ["a/b", "a/z", "a-b/c"]);
    }
}
