//! From a URL to text: redirects followed, the charset decoded, binary files refused.

use std::time::Duration;

use soma_sdk::http::Response;
use soma_sdk::{Error, http};
use url::Url;

use crate::charset;

/// How many redirects in a row are followed.
const MAX_REDIRECTS: usize = 10;

/// Wall-clock bound on each exchange.
const TIMEOUT: Duration = Duration::from_secs(20);

const ACCEPT: &str = "text/html, application/xhtml+xml, text/*;q=0.9, application/json;q=0.9, application/xml;q=0.9, */*;q=0.1";

/// A text and what it is.
pub(crate) struct Document {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) url: Url,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page.
    Html,
    /// Text that is its own best form.
    Text,
}

/// An absolute `http` or `https` URL.
pub(crate) fn parse(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text.trim())
        .map_err(|why| Error::invalid_input(format!("`url` is no absolute URL: {why}")))?;
    check_scheme(&url)?;
    Ok(url)
}

fn check_scheme(url: &Url) -> Result<(), Error> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(Error::invalid_input(format!(
            "only http and https can be read, not `{other}`: {url}"
        ))),
    }
}

/// Fetches a document; `url` is where it was in the end.
pub(crate) fn document(url: &mut Url) -> Result<Document, Error> {
    for _ in 0..=MAX_REDIRECTS {
        let response = http::get(url.as_str())
            .header("accept", ACCEPT)
            .header(
                "user-agent",
                concat!("soma-web/", env!("CARGO_PKG_VERSION")),
            )
            .timeout(TIMEOUT)
            .send()?;
        match redirect(url, &response)? {
            Some(next) => *url = next,
            None => return decode(response.error_for_status()?, url),
        }
    }
    Err(Error::upstream(
        format!("more than {MAX_REDIRECTS} redirects in a row, the last to {url}"),
        None,
    ))
}

/// Where a redirect (RFC 9110 §15.4) leads, the fragment kept where it names none.
fn redirect(from: &Url, response: &Response) -> Result<Option<Url>, Error> {
    if !matches!(response.status(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.header("location") else {
        let why = format!("{from} redirects to nowhere");
        return Err(Error::upstream(why, Some(response.status())));
    };
    let mut next = from.join(location).map_err(|why| {
        let why = format!("{from} redirects to what is no URL, `{location}`: {why}");
        Error::upstream(why, Some(response.status()))
    })?;
    check_scheme(&next)?;
    if next.fragment().is_none() {
        next.set_fragment(from.fragment());
    }
    Ok(Some(next))
}

fn decode(response: Response, url: &Url) -> Result<Document, Error> {
    let content_type = response
        .header("content-type")
        .unwrap_or_default()
        .to_owned();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    let media_type = media_type.trim().to_ascii_lowercase();
    let bytes = response.into_bytes();
    let kind = kind(&media_type, &bytes).ok_or_else(|| {
        let what = match media_type.as_str() {
            "" => "no text",
            named => named,
        };
        Error::invalid_input(format!(
            "{url} is {what}: only pages and text files can be read ({} bytes)",
            bytes.len()
        ))
    })?;
    Ok(Document {
        kind,
        text: charset::decode(&bytes, parameters, kind == Kind::Html),
        url: url.clone(),
    })
}

/// What a body is, by its media type, and where that says nothing by how it begins. None where it
/// is no text.
fn kind(media_type: &str, body: &[u8]) -> Option<Kind> {
    let textual = media_type.starts_with("text/")
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
        || matches!(
            media_type,
            "application/json"
                | "application/xml"
                | "application/javascript"
                | "application/x-ndjson"
                | "application/yaml"
                | "application/toml"
        );
    match media_type {
        "text/html" | "application/xhtml+xml" => Some(Kind::Html),
        "" | "application/octet-stream" if looks_like_html(body) => Some(Kind::Html),
        _ if textual => Some(Kind::Text),
        "" | "application/octet-stream"
            if std::str::from_utf8(body).is_ok() && !body.contains(&0) =>
        {
            Some(Kind::Text)
        }
        _ => None,
    }
}

fn looks_like_html(body: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&body[..body.len().min(512)]).to_ascii_lowercase();
    let start = start.trim_start_matches('\u{feff}').trim_start();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}
