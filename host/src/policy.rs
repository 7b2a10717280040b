//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator grants.

use soma_capability::Limits;
use soma_registry::Manifest;
use soma_runtime::Network;

use crate::app::InForce;
use crate::catalog::Installed;
use crate::error::Error;
use crate::grants::Grants;
use crate::settings::Live;

/// The manifest's wishes over the host's defaults, nothing above the host's maximum.
pub(crate) fn limits(live: &Live, manifest: &Manifest) -> Limits {
    live.default_limits
        .asked(&manifest.limits, &live.maximum_limits)
}

/// What is both asked for and granted, and what is open to every capsule.
pub(crate) async fn network(
    live: &InForce,
    grants: &Grants,
    tenant: &str,
    installed: &Installed,
) -> Result<Network, Error> {
    let asked = &installed.about.manifest.capabilities.http;
    if asked.is_empty() {
        return Ok(live.networks.open());
    }
    let granted = grants.of(tenant, installed).await?;
    let make = || {
        let open = live.settings.allow_http.clone();
        let http = granted.as_ref().map(|granted| granted.grant.http.clone());
        Network::granted(open, asked.clone(), http.unwrap_or_default())
    };
    let digest = installed.row.digest;
    live.networks
        .of(tenant, digest, granted.as_deref(), make)
        .await
}
