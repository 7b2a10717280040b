//! By which names the host may be called, and from which pages. A page that makes its own name
//! point at 127.0.0.1 (DNS rebinding) sends that name in `Host`, and is turned away by it.

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri};
use soma_capability::Origin;
use url::Url;

use crate::error::Error;
use crate::settings::Live;

/// Checks `Host` (or the URI's authority, in HTTP/2) and `Origin`.
pub(crate) fn check(live: &Live, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
    let mut named = false;
    if let Some(authority) = uri.authority() {
        named = true;
        check_host(live, authority.as_str())?;
    }
    for host in headers.get_all(HOST) {
        named = true;
        check_host(live, text(host))?;
    }
    if !named {
        return Err(Error::Misdirected(String::new()));
    }
    for origin in headers.get_all(ORIGIN) {
        check_origin(live, text(origin))?;
    }
    Ok(())
}

fn check_host(live: &Live, text: &str) -> Result<(), Error> {
    let authority = text.parse::<Authority>().ok();
    let known = authority
        .filter(|authority| !authority.as_str().contains('@'))
        .is_some_and(|authority| is_host(live, authority.host()));
    known
        .then_some(())
        .ok_or_else(|| Error::Misdirected(shown(text)))
}

fn check_origin(live: &Live, text: &str) -> Result<(), Error> {
    let listed = text
        .parse::<Origin>()
        .is_ok_and(|origin| live.allowed_origins.contains(&origin));
    let own = || {
        Url::parse(text)
            .ok()
            .is_some_and(|url| url.host_str().is_some_and(|host| is_host(live, host)))
    };
    (listed || own())
        .then_some(())
        .ok_or_else(|| Error::ForeignOrigin(shown(text)))
}

fn is_host(live: &Live, host: &str) -> bool {
    live.allowed_hosts
        .iter()
        .any(|name| name.eq_ignore_ascii_case(host))
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("")
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn verdict(host: &str, origin: Option<&str>) -> Result<(), Error> {
        let config = Config {
            data: Some("/tmp/soma".into()),
            allowed_hosts: vec!["Tools.example".to_owned()],
            allowed_origins: vec!["https://app.example".parse().unwrap()],
            ..Config::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        check(
            &config.settings().unwrap().live,
            &Uri::from_static("/"),
            &headers,
        )
    }

    #[test]
    fn only_its_own_names() {
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7711",
            "[::1]:7711",
            "tools.example",
        ] {
            assert!(verdict(host, None).is_ok(), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "x@localhost",
            "127.0.0.1.nip.io",
        ] {
            let refusal = verdict(host, None);
            assert!(matches!(refusal, Err(Error::Misdirected(_))), "{host}");
        }
    }

    #[test]
    fn only_pages_of_known_origins() {
        for origin in [
            "http://localhost:3000",
            "https://app.example",
            "https://tools.example",
        ] {
            assert!(verdict("localhost", Some(origin)).is_ok(), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://evil.example",
            "http://app.example",
            "https://app.example:8443",
        ] {
            let refusal = verdict("localhost", Some(origin));
            assert!(matches!(refusal, Err(Error::ForeignOrigin(_))), "{origin}");
        }
    }
}
