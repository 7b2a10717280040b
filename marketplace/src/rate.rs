//! How often one address may ask for a change.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http::request::Parts;
use http::{Extensions, HeaderMap};

use crate::app::AppState;
use crate::error::Error;

/// Addresses are forgotten again when there are this many.
const REMEMBERED: usize = 10_000;

/// The address that a request comes from.
pub(crate) struct Sender(pub(crate) Option<IpAddr>);

/// A bound on changes asked for, by address.
pub(crate) struct Rate {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    per_minute: NonZeroU32,
    behind_proxy: bool,
}

impl Rate {
    pub(crate) fn new(per_minute: NonZeroU32, behind_proxy: bool) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_minute(per_minute)),
            per_minute,
            behind_proxy,
        }
    }

    /// Counts a request. Looking things up is free: caches and the database bear it.
    pub(crate) fn count(&self, request: &Request) -> Result<(), Error> {
        if request.method().is_safe() {
            return Ok(());
        }
        let Some(address) = self.address(request.headers(), request.extensions()) else {
            return Ok(());
        };
        if self.limiter.len() > REMEMBERED {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(&address)
            .map_err(|_| Error::RateLimited(self.per_minute.get()))
    }

    /// Who asks. Of a forwarded chain only the last entry is the proxy's own word.
    fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let forwarded = || {
            let header = headers.get_all("x-forwarded-for").iter().next_back()?;
            let header = String::from_utf8_lossy(header.as_bytes());
            let last = header.rsplit(',').next()?.trim();
            let with_port = || Some(last.parse::<SocketAddr>().ok()?.ip());
            last.parse().ok().or_else(with_port)
        };
        let peer = || {
            let peer = extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.0.ip())
        };
        let forwarded = if self.behind_proxy { forwarded() } else { None };
        forwarded.or_else(peer).map(whose)
    }
}

/// Who has an address of version 6 has 2^64 of them: its network stands for all.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl FromRequestParts<AppState> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Infallible> {
        Ok(Self(app.rate.address(&parts.headers, &parts.extensions)))
    }
}
