//! Header fields of guests' requests and of the responses to them: bounded, and without those
//! that are the host's to set.

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use url::{Url, form_urlencoded};

use super::http::{SendError, invalid};
use crate::bindings::soma::capsule::http as wit;
use crate::credential::Credential;

/// Fields in one request: more than clients send, and far less than a `HeaderMap` can hold.
const MOST_FIELDS: usize = 256;

/// Bytes of a request's field names and values together. Few servers take more.
pub(crate) const MOST_FIELD_BYTES: usize = 64 << 10;

/// Characters of a guest's own text that an error or a log line repeats.
const MOST_QUOTED: usize = 256;

/// Fields that belong to the connection, or say where the request goes: the host's alone.
/// `expect` is among them because the client here sends a body without waiting for a leave.
const HOST_FIELDS: [HeaderName; 11] = [
    CONNECTION,
    EXPECT,
    HOST,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields by which some servers take another method or path than those that were matched.
const OVERRIDES: [HeaderName; 9] = [
    // Some take it for where their own requests go.
    HeaderName::from_static("proxy"),
    HeaderName::from_static("x-envoy-original-path"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// A guest's fields. Refuses what HTTP cannot carry, line breaks first of all.
pub(crate) fn headers_in(headers: &[wit::Header]) -> Result<HeaderMap, SendError> {
    let bytes: usize = headers
        .iter()
        .map(|field| field.name.len() + field.value.len())
        .sum();
    if headers.len() > MOST_FIELDS || bytes > MOST_FIELD_BYTES {
        return Err(invalid(format!(
            "a request has at most {MOST_FIELDS} fields of {MOST_FIELD_BYTES} bytes together"
        )));
    }
    let mut map = HeaderMap::new();
    for wit::Header { name, value } in headers {
        let field = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("{:?} is not a field name", shortened(name))))?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            let field = shortened(field.as_str());
            invalid(format!("the value of the field `{field}` cannot be sent"))
        })?;
        map.try_append(field, value)
            .map_err(|_| invalid("too many fields"))?;
    }
    Ok(map)
}

pub(crate) fn refuse_host_fields(headers: &HeaderMap) -> Result<(), SendError> {
    // CGI and its heirs read both characters as one: what is refused by its name would come in by
    // another, or a credential twice.
    if let Some(name) = headers.keys().find(|name| name.as_str().contains('_')) {
        let name = shortened(name.as_str());
        return Err(invalid(format!(
            "some servers read the field `{name}` as the one with `-` for `_`: write it so"
        )));
    }
    if let Some(name) = headers.keys().find(|name| HOST_FIELDS.contains(name)) {
        return Err(invalid(format!(
            "the host sets the field `{name}`, a guest cannot"
        )));
    }
    match headers.keys().find(|name| OVERRIDES.contains(name)) {
        Some(name) => Err(invalid(format!(
            "the field `{name}` could make it another request than the one that was matched"
        ))),
        None => Ok(()),
    }
}

/// Refuses what a guest would show of its own where the operator says who it is.
pub(crate) fn refuse_credentials(
    headers: &HeaderMap,
    url: &Url,
    credential: Option<&Credential>,
) -> Result<(), SendError> {
    let is_taken = |name: &&HeaderName| {
        [AUTHORIZATION, COOKIE].contains(name) || credential.is_some_and(|it| it.owns_field(name))
    };
    if let Some(name) = headers.keys().find(is_taken) {
        return Err(invalid(format!(
            "the field `{name}` goes with credentials: the operator sets it, a guest cannot"
        )));
    }
    let names = || parameters(url.query().unwrap_or_default());
    let owns = |own: &Credential| names().any(|name| own.owns_parameter(&name));
    if credential.is_some_and(owns) {
        return Err(invalid(
            "the query has the parameter that the operator's credential is in",
        ));
    }
    Ok(())
}

/// The names of a query's parameters as servers may read them: with `;` for `&`, in whatever case,
/// without what begins a list, ends a text, or stands around it.
fn parameters(query: &str) -> impl Iterator<Item = String> {
    let pairs = query.split(['&', ';']);
    let names = pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
    names.map(|(name, _)| {
        let name = name.split(['[', '\0']).next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    })
}

/// Takes `content-length` out of the fields: the client writes it itself, of the body that it
/// sends, because a peer that was told another length takes the rest for the next request.
pub(crate) fn take_length(headers: &mut HeaderMap) -> Result<Option<u64>, SendError> {
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let length = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => decimal(value.as_bytes()),
        (Some(_), Some(_)) => None,
    };
    headers.remove(CONTENT_LENGTH);
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(invalid("`content-length` is not one number")),
    }
}

/// RFC 9110 §8.6: digits and nothing else, where `parse` alone would take a sign.
fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A response's fields. Bytes that are not UTF-8 become the characters of the same number.
pub(crate) fn headers_out(headers: &HeaderMap) -> Vec<wit::Header> {
    let text = |value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value
            .as_bytes()
            .iter()
            .map(|&byte| char::from(byte))
            .collect(),
    };
    headers
        .iter()
        .map(|(name, value)| wit::Header {
            name: name.to_string(),
            value: text(value),
        })
        .collect()
}

/// A guest's text as an error or a log line may repeat it.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: impl Into<String>, value: &str) -> wit::Header {
        wit::Header {
            name: name.into(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn fields_are_bounded_in_number_and_size() {
        let many =
            |count: usize| -> Vec<_> { (0..count).map(|n| field(format!("x-{n}"), "")).collect() };
        assert_eq!(headers_in(&many(MOST_FIELDS)).unwrap().len(), MOST_FIELDS);
        // What `HeaderMap` panics at comes later: it must not be reached.
        for count in [MOST_FIELDS + 1, 30_000, 100_000] {
            assert!(headers_in(&many(count)).is_err(), "{count}");
        }
        let long = "v".repeat(MOST_FIELD_BYTES);
        assert!(headers_in(&[field("", &long[1..])]).is_err());
        assert!(headers_in(&[field("x", &long)]).is_err());
        assert!(headers_in(&[field("x", &long[1..])]).is_ok());
    }

    #[test]
    fn errors_repeat_little_of_what_is_wrong() {
        let name = "ü".repeat(20_000);
        let error = headers_in(&[field(name, "")]).unwrap_err().to_string();
        assert!(error.len() < 1000, "{}", error.len());
        let field = field("x".repeat(60_000), "\n");
        let error = headers_in(&[field]).unwrap_err().to_string();
        assert!(error.len() < 1000, "{}", error.len());
    }

    #[test]
    fn a_length_is_one_decimal_number() {
        let take = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_LENGTH, HeaderValue::from_static(value));
            }
            let length = take_length(&mut headers);
            assert!(headers.is_empty());
            length
        };
        assert_eq!(take(&[]), Ok(None));
        assert_eq!(take(&["100"]), Ok(Some(100)));
        for wrong in [
            &["+1"][..],
            &["-1"],
            &[""],
            &["1 "],
            &["99999999999999999999"],
            &["1", "1"],
            &["1, 1"],
        ] {
            assert!(take(wrong).is_err(), "{wrong:?}");
        }
    }
}
