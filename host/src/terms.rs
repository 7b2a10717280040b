//! What a caller says that a call may cost, in its headers.

use std::num::NonZeroU64;
use std::str::FromStr;

use http::{HeaderMap, HeaderName};

use crate::budget::{Session, SessionId};
use crate::error::Error;

/// Tokens that the call may cost at most.
const MAX_TOKENS: HeaderName = HeaderName::from_static("soma-max-tokens");
/// What the call is a part of.
const SESSION: HeaderName = HeaderName::from_static("soma-session");
/// Tokens that the session may use at most, ever.
const SESSION_TOKENS: HeaderName = HeaderName::from_static("soma-session-tokens");

/// The terms of one call; by default nothing is said.
#[derive(Default)]
pub(crate) struct Terms {
    /// See [`MAX_TOKENS`]. Without any, a call could not pay for its first instruction.
    pub(crate) most: Option<NonZeroU64>,
    /// See [`SESSION`].
    pub(crate) session: Option<Session>,
}

impl Terms {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let most = number(headers, &SESSION_TOKENS, "a whole number of tokens")?;
        let session = match text(headers, &SESSION)? {
            Some(id) => Some(Session {
                id: SessionId::try_from(id.to_owned()).map_err(|error| wrong(&SESSION, error))?,
                most,
            }),
            None if most.is_some() => {
                return Err(wrong(&SESSION_TOKENS, "it goes with `soma-session`"));
            }
            None => None,
        };
        let some = "a whole number of tokens from 1 on: a call of 0 tokens cannot begin";
        Ok(Self {
            most: number(headers, &MAX_TOKENS, some)?,
            session,
        })
    }
}

/// The number in a field, which is of this kind.
fn number<N: FromStr>(
    headers: &HeaderMap,
    name: &HeaderName,
    kind: &str,
) -> Result<Option<N>, Error> {
    let number = text(headers, name)?.map(str::parse::<N>).transpose();
    number.map_err(|_| wrong(name, format_args!("it is {kind}")))
}

/// The one value of a field.
pub(crate) fn text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(wrong(name, "it is sent once at most"));
    }
    let text = str::from_utf8(value.as_bytes());
    text.map(Some).map_err(|_| wrong(name, "it is UTF-8"))
}

/// What is to be said of a field that is not as it must be.
pub(crate) fn wrong(name: &HeaderName, why: impl std::fmt::Display) -> Error {
    Error::BadRequest(format!("the header `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(fields: &[(&'static str, &'static str)]) -> Result<Terms, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Terms::of(&headers).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_is_understood_or_refused() {
        let none = terms(&[]).unwrap();
        assert!(none.most.is_none() && none.session.is_none());
        let both = terms(&[("soma-max-tokens", "7"), ("soma-session", "a b")]).unwrap();
        let session = both.session.unwrap();
        assert_eq!(
            (both.most, session.id.as_str(), session.most),
            (NonZeroU64::new(7), "a b", None)
        );
        for (fields, words) in [
            (&[("soma-max-tokens", "-1")][..], "a whole number"),
            (&[("soma-max-tokens", "")], "a whole number"),
            (&[("soma-max-tokens", "0")], "a call of 0 tokens"),
            (&[("soma-session", "")], "1 to 128 characters"),
            (&[("soma-session-tokens", "5")], "goes with `soma-session`"),
            (
                &[("soma-session", "a"), ("soma-session", "b")],
                "once at most",
            ),
        ] {
            let refused = terms(fields).err().unwrap();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn a_session_can_be_over_before_it_begins() {
        let over = terms(&[("soma-session", "a"), ("soma-session-tokens", "0")]);
        assert_eq!(over.unwrap().session.unwrap().most, Some(0));
    }
}
