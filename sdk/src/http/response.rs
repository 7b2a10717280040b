//! A response with its whole body.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::{Error, Headers};

/// A response with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub(crate) url: String,
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The status code, 100–599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200–299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header field of this name, in whatever case; the first where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The URL that was asked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body.
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// The body as UTF-8 text, U+FFFD where it is none.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body read as JSON; [`Error::Decode`] where it is not JSON of this form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|why| Error::Decode {
            url: shown(&self.url),
            reason: why.to_string(),
        })
    }

    /// The response itself, or [`Error::Status`] where the status is 400–599.
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.status < 400 {
            return Ok(self);
        }
        Err(Error::Status {
            status: self.status,
            url: shown(&self.url),
            retry_after: self.retry_after(),
        })
    }

    /// `Retry-After` (RFC 9110 §10.2.3) where it is a number of seconds.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// A URL fit for a message that anyone may read: users, queries and fragments hold keys at times.
fn shown(url: &str) -> String {
    let url = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, retry_after: &str) -> Response {
        let mut headers = Headers::default();
        headers.push("Retry-After".into(), retry_after.into());
        Response {
            url: "https://ada:secret@a.test/b?key=secret#c".into(),
            status,
            headers,
            body: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_status_error_says_when_to_come_back_and_no_secret() {
        let error = response(429, " 30 ").error_for_status().unwrap_err();
        let expected = Error::Status {
            status: 429,
            url: "https://a.test/b".into(),
            retry_after: Some(Duration::from_secs(30)),
        };
        assert_eq!(error, expected);
        assert!(response(302, "").error_for_status().is_ok());
    }

    #[test]
    fn another_json_than_expected_is_said_so() {
        let error = response(200, "").json::<Vec<u8>>().unwrap_err();
        assert!(error.to_string().contains("expected a sequence"), "{error}");
    }
}
