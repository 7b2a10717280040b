//! What is in force for one capsule, and whether a request or an address is within it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Method;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use soma_capability::{CredentialName, HttpCapability, HttpGrant, Origin, Protocol, special};
use url::{Host, Url};

use super::judged::{Judged, Unsettled};
use super::learned::Learned;
use super::refusal::{Denial, Refusal, Wanted, malformed};
use crate::credential::Credential;

/// What one capsule may reach; nothing by default.
#[derive(Debug, Default)]
pub struct Rules {
    /// Every request to these is allowed, whoever asks.
    pub open: Vec<Origin>,
    /// What the manifest asks for, and what the operator granted: both must fit.
    pub asked: Vec<HttpCapability>,
    /// See `asked`.
    pub granted: Vec<HttpGrant>,
    /// What of all that the key of the call may use; none is all.
    pub narrowed: Option<Vec<HttpGrant>>,
    /// The same for links.
    pub links: Links,
    /// What the names of credentials stand for, where that is known.
    pub credentials: BTreeMap<CredentialName, Credential>,
    /// Where the host itself listens: what nobody can be allowed to reach.
    pub host: Option<SocketAddr>,
    /// Where requests are recorded: everything is allowed then, so that it can be granted later,
    /// but special addresses only where `open` names them.
    pub learned: Option<Learned>,
    /// Where requests are recorded that were allowed, and those that were denied, while all of the
    /// above holds as ever.
    pub watched: Option<Learned>,
}

/// What links one capsule may give away; nothing by default.
#[derive(Debug, Default)]
pub struct Links {
    /// What the manifest asks for, and what the operator granted: both must fit.
    pub asked: Vec<HttpCapability>,
    /// See `asked`.
    pub granted: Vec<HttpGrant>,
    /// What of all that the key of the call may use; none is all.
    pub narrowed: Option<Vec<HttpGrant>>,
}

/// By what a request is allowed.
pub(crate) enum Rule<'a> {
    /// Its origin is open.
    Open,
    /// It is asked for, and granted by this entry, with this credential.
    Granted(&'a HttpGrant, Option<&'a Credential>),
}

impl Rules {
    pub(super) fn permit(
        &self,
        method: &Method,
        origin: Origin,
        url: &mut Url,
    ) -> Result<Judged<'_>, Refusal> {
        let mut judged = Judged::Settled(Rule::Open);
        let mut sent = None;
        let is_open = self.open.contains(&origin);
        if self.learned.is_some() || self.narrowed.is_some() || !is_open {
            let wanted = Wanted::of(method, origin, url)?;
            if self.narrowed.as_ref().is_some_and(|it| !wanted.is_in(it)) {
                return Err(Refusal::Denied(Denial::Narrowed(wanted.into())));
            }
            if self.learned.is_some() {
                sent = Some(wanted);
            } else {
                judged = self.judge(wanted, is_open, None)?;
            }
        }
        // Names are looked at when they are resolved.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(malformed("a URL names a server"));
        };
        let may_be_host = match literal {
            Some(address) => {
                self.admit(host, address).map_err(Refusal::Denied)?;
                self.is_host(port, |own| own == address || special(address).is_some())
            }
            None => self.is_host(port, |_| self.may_lead_inside(host)),
        };
        if may_be_host {
            return Err(Refusal::Denied(Denial::Host));
        }
        if let (Some(learned), Some(sent)) = (&self.learned, sent) {
            if Protocol::at(sent.origin.host(), &sent.path).is_some() {
                return Ok(Judged::Unsettled(Unsettled::to_learn(self, sent)));
            }
            learned.record(sent, true);
        }
        Ok(judged)
    }

    /// The credential that a link is signed with: one that is asked for and granted with it.
    pub(super) fn permit_link(&self, wanted: Wanted) -> Result<&Credential, Denial> {
        let Links {
            asked,
            granted,
            narrowed,
        } = &self.links;
        let asked: Vec<_> = asked.iter().filter(|it| wanted.is_asked(it)).collect();
        if asked.is_empty() {
            return Err(Denial::LinkNotAsked(wanted.into()));
        }
        if narrowed.as_ref().is_some_and(|it| !wanted.is_in(it)) {
            return Err(Denial::Narrowed(wanted.into()));
        }
        let granted = granted.iter().filter(|it| wanted.is_granted(it));
        let both = |name: &&CredentialName| {
            let mut asked = asked.iter();
            asked.any(|asked| asked.credential.as_ref() == Some(name))
        };
        let name = granted.filter_map(|it| it.credential.as_ref()).find(both);
        let name = name.ok_or(Denial::LinkNotGranted(wanted.into()))?;
        let credential = self.credentials.get(name);
        credential.ok_or_else(|| Denial::NoCredential(name.clone()))
    }

    /// Whether the host listens on this port, and at such an address.
    fn is_host(&self, port: u16, there: impl FnOnce(IpAddr) -> bool) -> bool {
        self.host
            .is_some_and(|own| own.port() == port && there(own.ip()))
    }

    /// Whether this name may lead to an address of this machine or its network.
    fn may_lead_inside(&self, host: &str) -> bool {
        let by_number = |granted: &&HttpGrant| {
            !granted.addresses.is_empty() && granted.origin.host().matches(host)
        };
        host == "localhost" || self.granted.iter().any(|granted| by_number(&granted))
    }

    /// Whether any host may be at this address. A connector knows no more than that.
    pub(super) fn admit_peer(&self, address: IpAddr) -> Result<(), Denial> {
        let Some(what) = special(address) else {
            return Ok(());
        };
        let open = self.open.iter().map(|origin| origin.host().to_owned());
        let granted = self.granted.iter().map(|it| it.origin.host());
        let exact = granted.filter(|host| host.is_exact());
        let mut named = open.chain(exact.map(ToString::to_string));
        let by_number = || self.granted.iter().any(|it| leads_to(it, address));
        if named.any(|host| is_literally(&host, address)) || by_number() {
            return Ok(());
        }
        Err(Denial::Special {
            host: address.to_string(),
            address,
            what,
        })
    }

    /// Whether this host may be at this address.
    pub(super) fn admit(&self, host: &str, address: IpAddr) -> Result<(), Denial> {
        let Some(what) = special(address) else {
            return Ok(());
        };
        let is_named = is_literally(host, address);
        let open = is_named && self.open.iter().any(|origin| origin.host() == host);
        let granted = self.granted.iter().any(|granted| {
            let origin_host = granted.origin.host();
            origin_host.matches(host)
                && (is_named && origin_host.is_exact() || leads_to(granted, address))
        });
        if open || granted {
            return Ok(());
        }
        Err(Denial::Special {
            host: host.to_owned(),
            address,
            what,
        })
    }
}

/// Whether the operator named this address for whatever the entry's host is called.
fn leads_to(granted: &HttpGrant, address: IpAddr) -> bool {
    let mut ranges = granted.addresses.iter();
    ranges.any(|range| range.contains(address))
}

/// Whether whoever wrote this host meant this very address.
fn is_literally(host: &str, address: IpAddr) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(literal) => literal == address,
        Err(_) => host == "localhost" && address.is_loopback(),
    }
}

/// Looks names up once, for the client to connect to what was looked at and to nothing else.
pub(super) struct Guard(pub(super) Arc<Rules>);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        Box::pin(async move {
            let host = name.as_str();
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            let addresses: Vec<SocketAddr> = addresses.collect();
            // All of them: a name that leads inside and outside is not to be trusted with either.
            for address in &addresses {
                rules.admit(host, address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Network;
    use super::*;

    fn network(open: &[&str], asked: &[&str], granted: &[&str]) -> Network {
        let asked = asked.iter().map(|text| {
            let grant: HttpGrant = text.parse().unwrap();
            HttpCapability {
                origin: grant.origin,
                methods: grant.methods,
                paths: grant.paths,
                operations: grant.operations,
                credential: None,
                why: "A test.".to_owned(),
            }
        });
        Network::new(Rules {
            open: open.iter().map(|text| text.parse().unwrap()).collect(),
            asked: asked.collect(),
            granted: granted.iter().map(|text| text.parse().unwrap()).collect(),
            ..Rules::default()
        })
        .unwrap()
    }

    fn ask(network: &Network, method: &str, url: &str) -> Result<String, Refusal> {
        let mut url = url.parse().unwrap();
        let method = method.parse().unwrap();
        network.permit(&method, &mut url)?;
        Ok(url.to_string())
    }

    #[test]
    fn both_must_fit_and_what_was_matched_is_sent() {
        let network = network(
            &[],
            &[
                "GET,POST https://a.example/items/{id}",
                "GET https://b.example/**",
            ],
            &["GET https://a.example/**"],
        );
        let sent = |url| ask(&network, "GET", url);
        assert_eq!(
            sent("https://A.example:443/items/%61?q=/../x#y").unwrap(),
            "https://a.example/items/a?q=/../x#y"
        );
        for (method, url, part) in [
            ("POST", "https://a.example/items/1", "no grant covers POST"),
            ("GET", "https://b.example/", "no grant covers GET https://b"),
            ("GET", "https://a.example/other", "does not ask for GET"),
            ("GET", "https://a.example./items/1", "does not ask"),
            ("GET", "http://a.example/items/1", "does not ask"),
            ("GET", "https://a.example:8443/items/1", "does not ask"),
            ("GET", "https://a.example/items/1/2", "does not ask"),
            ("GET", "https://a.example/items/1%2F2", "does not ask"),
            ("get", "https://a.example/items/1", "does not ask"),
        ] {
            let Err(Refusal::Denied(denial)) = ask(&network, method, url) else {
                panic!("{method} {url}");
            };
            assert!(denial.to_string().contains(part), "{url}: {denial}");
        }
        for url in [
            "https://a.example//items/1",
            "https://a.example/items/..%2f1",
            "https://a.example/items/%2e%2e;/1",
            "https://a.example/items/%252e%252e/1",
            "https://u@a.example/items/1",
            "https://u:p@a.example/items/1",
            "ftp://a.example/items/1",
        ] {
            let refused = ask(&network, "GET", url);
            assert!(matches!(refused, Err(Refusal::Malformed(_))), "{url}");
        }
    }

    #[test]
    fn special_addresses_are_granted_by_number() {
        let all = "GET http://10.0.0.7/**";
        let wide = network(&[], &["GET http://*.example.com/**", all], &[all]);
        assert!(ask(&wide, "GET", "http://10.0.0.7/").is_ok());
        // In whatever notation, it is the one that was granted, or it is not.
        assert!(ask(&wide, "GET", "http://0xa.7/").is_ok());
        assert!(ask(&wide, "GET", "http://10.0.0.8/").is_err());
        let rules = &wide.0.as_ref().unwrap().rules;
        let inside: IpAddr = "10.0.0.7".parse().unwrap();
        assert!(rules.admit("a.example.com", inside).is_err());
        assert!(
            rules
                .admit("a.example.com", "8.8.8.8".parse().unwrap())
                .is_ok()
        );

        let mut grant: HttpGrant = "GET http://*.example.com/**".parse().unwrap();
        grant.addresses = vec!["10.0.0.0/24".parse().unwrap()];
        let rules = Rules {
            granted: vec![grant],
            ..Rules::default()
        };
        assert!(rules.admit("a.example.com", inside).is_ok());
        assert!(
            rules
                .admit("a.example.com", "10.0.1.1".parse().unwrap())
                .is_err()
        );
        assert!(rules.admit("a.example.org", inside).is_err());
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        assert!(rules.admit("a.example.com", loopback).is_err());
        // A connector is told no name.
        assert!(rules.admit_peer(inside).is_ok());
        assert!(rules.admit_peer("8.8.8.8".parse().unwrap()).is_ok());
        assert!(rules.admit_peer(loopback).is_err());

        let open = network(&["http://localhost:1", "http://a.example"], &[], &[]);
        let rules = &open.0.as_ref().unwrap().rules;
        assert!(rules.admit("localhost", loopback).is_ok());
        assert!(rules.admit("localhost", inside).is_err());
        assert!(rules.admit_peer(loopback).is_ok());
        assert!(rules.admit_peer(inside).is_err());
        assert!(rules.admit("a.example", loopback).is_err());
    }
}
