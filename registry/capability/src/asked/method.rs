//! The method of a request.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::as_text::as_text;

const MAX_LETTERS: usize = 32;

/// An HTTP method in its one form: 1–32 characters of `A-Z` and `-`, such as `GET`. Methods that
/// make a server echo what it was sent, or a proxy open a tunnel, are none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Method(String);

/// Why a text is not a method that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// It breaks the rules for its characters.
    #[error("`{0}` is not a method: 1 to {MAX_LETTERS} characters of A-Z and `-`, as in \"GET\"")]
    Form(String),
    /// `TRACE`, `TRACK` or `CONNECT`.
    #[error("`{0}` cannot be asked for: no capsule may send it")]
    Never(String),
}

impl Method {
    /// The method as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let well_formed = text.len() <= MAX_LETTERS
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.ends_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !well_formed {
            return Err(MethodError::Form(super::shown(text)));
        }
        if matches!(text, "TRACE" | "TRACK" | "CONNECT") {
            return Err(MethodError::Never(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(Method, MethodError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_canonical_form() {
        for text in ["GET", "PROPFIND", "M-SEARCH"] {
            assert_eq!(text.parse::<Method>().unwrap().to_string(), text);
        }
        let long = "A".repeat(MAX_LETTERS + 1);
        for bad in [
            "",
            "get",
            "Get",
            "GET ",
            "GET\r\n",
            "*",
            "-A",
            "A-",
            "ＧＥＴ",
            "TRACE",
            "TRACK",
            "CONNECT",
            &long,
        ] {
            assert!(bad.parse::<Method>().is_err(), "{bad}");
        }
    }
}
