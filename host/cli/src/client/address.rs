//! Where a host is, and what may be sent there.

use std::time::Duration;

use anyhow::Context as _;
use soma_registry::client::is_loopback;
use url::Url;

use crate::failure::Failure;

const NAMED: &str = "a host is named like http://127.0.0.1:7711";

/// Reads the address of a host, on the command line.
pub(super) fn host_url(text: &str) -> anyhow::Result<Url> {
    Url::parse(text).context(NAMED)
}

/// Whether a key may be shown to this host.
pub(super) fn check_base(base: &Url, plain_http: bool) -> Result<(), Failure> {
    match base.scheme() {
        "https" => Ok(()),
        "http" if plain_http || is_loopback(base) => Ok(()),
        "http" => Err(Failure::usage(format_args!(
            "{base} is on another machine and not encrypted: anybody on the way could read the key"
        ))
        .hint("use https, or give --plain-http where the network is your own")),
        _ => Err(Failure::usage(format_args!("{base} is neither http nor https")).hint(NAMED)),
    }
}

/// What requests to such an address are sent with.
pub(crate) fn http_client(base: &Url) -> Result<reqwest::Client, Failure> {
    // Whoever was first wins, and it is the same provider everywhere in this project.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")));
    // A proxy can reach this machine's loopback least of all.
    let client = if is_loopback(base) {
        client.no_proxy()
    } else {
        client
    };
    client
        .build()
        .map_err(|error| Failure::failed(format_args!("no HTTP client: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_sent_in_the_clear() {
        for (url, plain, fine) in [
            ("http://[::1]:7711", false, true),
            ("http://localhost:7711", false, true),
            ("https://example.com", false, true),
            ("http://example.com", false, false),
            ("http://localhost.example.com", false, false),
            ("http://example.com", true, true),
            ("ftp://localhost", false, false),
        ] {
            assert_eq!(
                check_base(&url.parse().unwrap(), plain).is_ok(),
                fine,
                "{url}"
            );
        }
    }
}
