//! What an author calls the things that an operator supplies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::as_text::as_text;
use crate::name::is_part;

/// The name of a credential, such as `github`. The author chooses it; what it stands for, the
/// operator. Like a part of a capsule's name: 1–64 characters of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CredentialName(String);

/// The name of a setting, under the same rules.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ConfigKey(String);

/// A text that breaks the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: 1 to 64 characters of a-z, 0-9 and `-`, beginning with a letter, not ending with `-`, without `--`"
)]
pub struct AskedNameError(String);

fn checked(text: &str) -> Result<String, AskedNameError> {
    if is_part(text) {
        return Ok(text.to_owned());
    }
    Err(AskedNameError(super::shown(text)))
}

impl FromStr for CredentialName {
    type Err = AskedNameError;

    fn from_str(text: &str) -> Result<Self, AskedNameError> {
        checked(text).map(Self)
    }
}

impl FromStr for ConfigKey {
    type Err = AskedNameError;

    fn from_str(text: &str) -> Result<Self, AskedNameError> {
        checked(text).map(Self)
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(CredentialName, AskedNameError);
as_text!(ConfigKey, AskedNameError);
