//! A request, being built.

use std::time::Duration;

use serde::Serialize;

use super::stream::Exchange;
use super::{Error, Headers, Response, transport};

/// A request, being built. A part that cannot be built is an [`Error::InvalidRequest`] when it is
/// sent.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request {
    parts: Parts,
    fault: Option<Error>,
}

/// A request as it leaves the guest.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout_ms: Option<u32>,
}

impl Request {
    pub(super) fn new(method: String, url: String) -> Self {
        Self {
            parts: Parts {
                method,
                url,
                headers: Headers::default(),
                body: Vec::new(),
                timeout_ms: None,
            },
            fault: None,
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parts.headers.push(name.into(), value.into());
        self
    }

    /// Adds `Authorization: Bearer …`, of a token that is yours to know. What a manifest asks for
    /// with a `credential` needs none: the host adds it, and refuses this one.
    pub fn bearer_auth(self, token: impl std::fmt::Display) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Adds to the URL's query: pairs, a map, or a struct of plain values.
    pub fn query<T: Serialize + ?Sized>(mut self, query: &T) -> Self {
        match serde_urlencoded::to_string(query) {
            Ok(query) => self.parts.url = with_query(&self.parts.url, &query),
            Err(why) => self.refuse(format!("the query cannot be written: {why}")),
        }
        self
    }

    /// The body is this value as JSON.
    pub fn json<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.parts.body = body,
            Err(why) => self.refuse(format!("the body cannot be written as JSON: {why}")),
        }
        self.content_type("application/json")
    }

    /// The body is this value as a form: pairs, a map, or a struct of plain values.
    pub fn form<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_urlencoded::to_string(value) {
            Ok(body) => self.parts.body = body.into_bytes(),
            Err(why) => self.refuse(format!("the form cannot be written: {why}")),
        }
        self.content_type("application/x-www-form-urlencoded")
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.parts.body = body.into();
        self
    }

    /// Wall-clock bound on the whole exchange; the host's own bound where that is shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.parts.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Sends it and waits for the whole response.
    pub fn send(self) -> Result<Response, Error> {
        let parts = self.finish()?;
        let url = parts.url.clone();
        let mut response = transport::send(parts)?;
        response.url = url;
        Ok(response)
    }

    /// Sends it and returns at once, to read the response piece by piece, or several side by side:
    /// see [`stream`](super::stream).
    pub fn stream(self) -> Result<Exchange, Error> {
        let mut exchange = Exchange::start(self.finish()?)?;
        exchange.finish()?;
        Ok(exchange)
    }

    /// Sends it and returns at once, to write (more of) the body piece by piece. The body ends
    /// with [`Exchange::finish`].
    pub fn upload(self) -> Result<Exchange, Error> {
        Exchange::start(self.finish()?)
    }

    fn finish(self) -> Result<Parts, Error> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.parts),
        }
    }

    fn content_type(self, media_type: &str) -> Self {
        if self.parts.headers.get("content-type").is_some() {
            return self;
        }
        self.header("content-type", media_type)
    }

    fn refuse(&mut self, why: String) {
        self.fault.get_or_insert(Error::InvalidRequest(why));
    }
}

/// The URL with more in its query, before the fragment.
fn with_query(url: &str, query: &str) -> String {
    if query.is_empty() {
        return url.to_owned();
    }
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let between = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{between}{query}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_goes_before_the_fragment() {
        assert_eq!(with_query("http://a/", "b=1"), "http://a/?b=1");
        assert_eq!(with_query("http://a/?", "b=1"), "http://a/?b=1");
        assert_eq!(with_query("http://a/?c=2#d", "b=1"), "http://a/?c=2&b=1#d");
        assert_eq!(with_query("http://a/#d", ""), "http://a/#d");
    }

    #[test]
    fn what_cannot_be_built_fails_when_sent() {
        let error = super::super::get("http://a/").query(&7).send().unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
    }
}
