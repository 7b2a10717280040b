//! Which operations a request has, as the server will read it: out of the very bytes that are sent.
//! Whatever two servers could read differently is refused.

mod aws;
mod document;
mod graphql;

use std::collections::BTreeSet;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use http::{HeaderName, Method};
use soma_capability::{Operation, Protocol};
use url::Url;

/// Different operations in one request.
const MOST_OPERATIONS: usize = 256;

/// A request as it will be sent, but for its credential.
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Why it is not known which operations a request has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Servers may read it in several ways, or not at all.
    Malformed(String),
    /// It is well formed, and says it in a way that only the server knows.
    Unseen(&'static str),
}

/// The operations of a request; at least one.
pub(super) fn read(protocol: Protocol, sent: &Sent<'_>) -> Result<Vec<Operation>, Unread> {
    if sent.headers.contains_key(CONTENT_ENCODING) {
        return Err(malformed("its body is encoded (`content-encoding`)"));
    }
    let found = match protocol {
        Protocol::Graphql => graphql::read(sent)?,
        Protocol::Aws => BTreeSet::from([aws::read(sent)?]),
    };
    Ok(found.into_iter().collect())
}

fn malformed(why: impl Into<String>) -> Unread {
    Unread::Malformed(why.into())
}

/// The one value of a field as text, where it is there.
fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Unread> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(malformed(format!("`{name}` is no text"))),
        },
        (Some(_), Some(_)) => Err(malformed(format!("`{name}` is there twice"))),
    }
}

/// The type of the body in lower case, which is in UTF-8 if it says anything about that.
fn media_type(headers: &HeaderMap) -> Result<String, Unread> {
    let text = field(headers, &CONTENT_TYPE)?.unwrap_or_default();
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    if !matches!(
        parameters.as_str(),
        "" | "charset=utf-8" | "charset=\"utf-8\""
    ) {
        return Err(malformed(
            "`content-type` has other parameters than `charset=utf-8`",
        ));
    }
    Ok(name.trim().to_ascii_lowercase())
}

/// The operations of a request that is made of texts, with a `, ` between them.
#[cfg(test)]
fn read_texts(
    protocol: Protocol,
    method: &Method,
    url: &str,
    fields: &[(&'static str, &str)],
    body: &str,
) -> Result<String, Unread> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let sent = Sent {
        method,
        url: &url.parse().unwrap(),
        headers: &headers,
        body: body.as_bytes(),
    };
    let found = read(protocol, &sent)?;
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    Ok(found.join(", "))
}

/// Names and values of a query or a form.
fn pairs(text: &str) -> Result<Vec<(String, String)>, Unread> {
    // What some servers take for another `&`.
    if text.contains(';') {
        return Err(malformed("a `;` is in its parameters: it is written `%3B`"));
    }
    let pairs = url::form_urlencoded::parse(text.as_bytes());
    Ok(pairs.into_owned().collect())
}
