//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator grants.

use soma_capability::Limits;
use soma_registry::Manifest;
use soma_runtime::Network;

use crate::app::{App, InForce};
use crate::catalog::Installed;
use crate::error::Error;
use crate::secrets::Accompanying;
use crate::settings::Live;

/// The manifest's wishes over the host's defaults, nothing above the host's maximum.
pub(crate) fn limits(live: &Live, manifest: &Manifest) -> Limits {
    live.default_limits
        .asked(&manifest.limits, &live.maximum_limits)
}

/// What is both asked for and granted, and what is open to every capsule.
pub(crate) async fn network(
    app: &App,
    live: &InForce,
    tenant: &str,
    installed: &Installed,
) -> Result<Network, Error> {
    let asked = &installed.about.manifest.capabilities.http;
    if asked.is_empty() {
        return Ok(live.networks.open());
    }
    let (mut granted, mut revision) = (Vec::new(), String::new());
    let mut accompanying = Accompanying::default();
    if let Some(in_force) = app.grants.of(tenant, installed).await? {
        granted.clone_from(&in_force.grant.http);
        accompanying = app.secrets.of(tenant, &in_force.grant).await?;
        revision = format!("{}{}", in_force.revision, accompanying.revision);
    }
    let make = || {
        let open = live.settings.allow_http.clone();
        let credentials = accompanying.credentials;
        Network::granted(open, asked.clone(), granted, credentials, Some(app.address))
    };
    let digest = installed.row.digest;
    live.networks.of(tenant, digest, revision, make).await
}
