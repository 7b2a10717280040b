//! Whom servers must be vouched for by, and who is shown to them: a client, and so a pool of
//! connections, for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use soma_capability::{Authorities, CredentialName, HttpGrant};

use super::NetworkError;
use super::peer::PeerCheck;
use super::refusal::Denial;
use super::rules::{Guard, Rule, Rules};
use crate::credential::Credential;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// The clients of one grant.
#[derive(Debug)]
pub(crate) struct Clients {
    usual: reqwest::Client,
    /// Of those entries that say more. One whose certificate is not to be had has none.
    special: BTreeMap<Identity, reqwest::Client>,
}

/// What makes connections differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    authorities: Option<Authorities>,
    certificate: Option<CredentialName>,
}

impl Clients {
    pub(super) fn new(rules: &Arc<Rules>) -> Result<Self, NetworkError> {
        let mut special = BTreeMap::new();
        for identity in rules.granted.iter().filter_map(Identity::of) {
            if special.contains_key(&identity) {
                continue;
            }
            if let Some(client) = identity.client(rules)? {
                special.insert(identity, client);
            }
        }
        let usual = builder(rules).build()?;
        Ok(Self { usual, special })
    }

    /// The one for what is allowed by this, where its certificate is to be had.
    pub(crate) fn of(&self, rule: &Rule<'_>) -> Result<&reqwest::Client, Denial> {
        let identity = match rule {
            Rule::Open => None,
            Rule::Granted(entry, _) => Identity::of(entry),
        };
        let Some(identity) = identity else {
            return Ok(&self.usual);
        };
        match (self.special.get(&identity), identity.certificate) {
            (Some(client), _) => Ok(client),
            (None, Some(name)) => Err(Denial::NoCertificate(name)),
            // Every other one was made with the rest.
            (None, None) => Ok(&self.usual),
        }
    }
}

impl Identity {
    /// None for everybody's authorities and no certificate.
    fn of(entry: &HttpGrant) -> Option<Self> {
        let identity = Self {
            authorities: entry.ca.clone(),
            certificate: entry.client_certificate.clone(),
        };
        let is_usual = identity.authorities.is_none() && identity.certificate.is_none();
        (!is_usual).then_some(identity)
    }

    fn client(&self, rules: &Arc<Rules>) -> Result<Option<reqwest::Client>, NetworkError> {
        let mut builder = builder(rules);
        if let Some(authorities) = &self.authorities {
            let roots = authorities.certificates().map(Certificate::from_der);
            builder = builder.tls_certs_only(roots.collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(name) = &self.certificate {
            let held = rules.credentials.get(name).and_then(Credential::identity);
            let Some(held) = held else {
                return Ok(None);
            };
            builder = builder.identity(held?);
        }
        Ok(Some(builder.build()?))
    }
}

fn builder(rules: &Arc<Rules>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // A proxy from the environment would see what was granted to somebody else.
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Guard(rules.clone())))
        .connector_layer(PeerCheck(rules.clone()))
}

/// Says what is wrong with certificates that are to be trusted, before anything depends on them.
pub fn check_authorities(authorities: &Authorities) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for (der, fingerprint) in authorities.certificates().zip(authorities.fingerprints()) {
        let added = store.add(CertificateDer::from(der));
        added.map_err(|error| format!("the certificate sha256:{fingerprint}: {error}"))?;
    }
    Ok(())
}
