//! What a registry wants to see before it answers: a password, or a token from somewhere else.

use reqwest::Url;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

/// The first demand that we can meet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// RFC 7617.
    Basic,
    /// A token of the distribution project's token service.
    Bearer {
        /// Where to get it.
        realm: Url,
        /// For whom.
        service: Option<String>,
    },
}

/// What a token service answers.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// Two names for the same, one of them OAuth's.
    pub(super) fn into_text(self) -> Option<String> {
        self.token.or(self.access_token)
    }
}

impl Challenge {
    /// In the headers of a 401, if there is one.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .filter_map(|value| http_auth::parse_challenges(value).ok())
            .flatten()
            .find_map(|challenge| Self::known(&challenge))
    }

    fn known(challenge: &http_auth::ChallengeRef<'_>) -> Option<Self> {
        if challenge.scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            let mut all = challenge.params.iter();
            let (_, value) = all.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped())
        };
        Some(Self::Bearer {
            realm: parameter("realm")?.parse().ok()?,
            service: parameter("service"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, value.parse().unwrap());
        Challenge::read(&headers)
    }

    #[test]
    fn reads_what_registries_send() {
        assert_eq!(read("Basic realm=\"Registry\""), Some(Challenge::Basic));
        assert_eq!(
            read(
                "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:a:pull\""
            ),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".parse().unwrap(),
                service: Some("r.example".to_owned()),
            })
        );
        let both = "Negotiate, bearer realm=\"nowhere\", BASIC realm=\"r\"";
        assert_eq!(read(both), Some(Challenge::Basic));
        for unknown in [
            "",
            "Negotiate",
            "Bearer service=\"x\"",
            "=,=",
            "Bearer realm",
        ] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
        assert_eq!(Challenge::read(&HeaderMap::new()), None);
    }
}
