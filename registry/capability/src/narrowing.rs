//! What a key may use of what is granted: less, never more.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::unique::Unique;
use crate::{CapsuleName, Grant, HttpGrant};

const MAX_CAPSULES: usize = 64;

/// For each of some capsules what calls with the key may use of its grant; a capsule that is not named
/// is not narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unique<CapsuleName, Grant>")]
pub struct Narrowing(BTreeMap<CapsuleName, Grant>);

/// What is no narrowing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarrowingError {
    /// Of too many capsules, or of none.
    #[error("here are {0} capsules; 1 to {MAX_CAPSULES} are allowed")]
    Capsules(usize),
    /// More than whether something may be used.
    #[error(
        "{0}: a key decides neither which credential accompanies a request, nor who its host is and \
         where it may be, nor what settings are: leave `credential`, `client-certificate`, `ca`, \
         `addresses` and `config` out"
    )]
    Gives(CapsuleName),
}

impl Narrowing {
    /// What there is for a capsule, where it is narrowed.
    pub fn of(&self, capsule: &CapsuleName) -> Option<&Grant> {
        self.0.get(capsule)
    }

    /// The capsules that are narrowed.
    pub fn capsules(&self) -> impl Iterator<Item = &CapsuleName> {
        self.0.keys()
    }
}

impl TryFrom<Unique<CapsuleName, Grant>> for Narrowing {
    type Error = NarrowingError;

    fn try_from(Unique(grants): Unique<CapsuleName, Grant>) -> Result<Self, NarrowingError> {
        if !(1..=MAX_CAPSULES).contains(&grants.len()) {
            return Err(NarrowingError::Capsules(grants.len()));
        }
        let entry_gives = |entry: &HttpGrant| {
            let named = entry.credential.is_some() || entry.client_certificate.is_some();
            named || entry.ca.is_some() || !entry.addresses.is_empty()
        };
        let gives = |grant: &Grant| {
            let mut entries = grant.http.iter().chain(&grant.links);
            !grant.config.is_empty() || entries.any(entry_gives)
        };
        match grants.iter().find(|(_, grant)| gives(grant)) {
            Some((capsule, _)) => Err(NarrowingError::Gives(capsule.clone())),
            None => Ok(Self(grants)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrowing_gives_nothing() {
        let read = |text: &str| serde_json::from_str::<Narrowing>(text);
        let narrowing = read(r#"{"a/b": {"kv": {"quota-kib": 1}}, "a/c": {}}"#).unwrap();
        assert!(narrowing.of(&"a/c".parse().unwrap()).unwrap().is_empty());
        assert!(narrowing.of(&"a/d".parse().unwrap()).is_none());
        let http = r#""origin": "https://a.test", "methods": ["GET"], "paths": ["/**"]"#;
        for (text, part) in [
            ("{}".to_owned(), "0 capsules"),
            (r#"{"a": {}}"#.to_owned(), "namespace"),
            (
                r#"{"a/b": {"kv": {"quota-kib": 1}}, "a/b": {}}"#.to_owned(),
                "`a/b` is there twice",
            ),
            (
                r#"{"a/b": {"config": {"k": "v"}}}"#.to_owned(),
                "a/b: a key decides",
            ),
            (
                format!(r#"{{"a/b": {{"http": [{{{http}, "credential": "c"}}]}}}}"#),
                "a/b: a key",
            ),
            (
                format!(r#"{{"a/b": {{"http": [{{{http}, "client-certificate": "c"}}]}}}}"#),
                "a/b: a key",
            ),
            (
                format!(r#"{{"a/b": {{"http": [{{{http}, "addresses": ["10.0.0.1"]}}]}}}}"#),
                "a/b",
            ),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
