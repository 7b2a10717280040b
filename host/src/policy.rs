//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use soma_capability::{Capabilities, Limits, Settings};
use soma_registry::Manifest;
use soma_runtime::{Network, Rules};

use crate::app::{App, InForce};
use crate::catalog::Installed;
use crate::db::grants::Granted;
use crate::error::Error;
use crate::settings::Live;

/// The manifest's wishes over the host's defaults, nothing above the host's maximum.
pub(crate) fn limits(live: &Live, manifest: &Manifest) -> Limits {
    live.default_limits
        .asked(&manifest.limits, &live.maximum_limits)
}

/// What a call is given beyond computing.
pub(crate) struct Given {
    pub(crate) network: Network,
    pub(crate) settings: Arc<Settings>,
}

/// What is both asked for and granted, and what is open to every capsule.
pub(crate) async fn given(
    app: &App,
    live: &InForce,
    tenant: &str,
    installed: &Installed,
) -> Result<Given, Error> {
    let asked = &installed.about.manifest.capabilities;
    if asked.http.is_empty() && asked.config.is_empty() {
        return Ok(Given {
            network: live.networks.open(),
            settings: Arc::default(),
        });
    }
    let in_force = app.grants.of(tenant, installed).await?;
    let settings = in_force.as_ref().map(|it| settings(it, asked));
    Ok(Given {
        network: network(app, live, tenant, installed, in_force).await?,
        settings: settings.unwrap_or_default(),
    })
}

/// Those that are granted and asked for: most of the time all that are granted.
fn settings(granted: &Granted, asked: &Capabilities) -> Arc<Settings> {
    let all = &granted.settings;
    if all.iter().all(|(key, _)| asked.asks_setting(key)) {
        return all.clone();
    }
    Arc::new(all.asked(&asked.config))
}

async fn network(
    app: &App,
    live: &InForce,
    tenant: &str,
    installed: &Installed,
    in_force: Option<Arc<Granted>>,
) -> Result<Network, Error> {
    let asked = &installed.about.manifest.capabilities.http;
    if asked.is_empty() {
        return Ok(live.networks.open());
    }
    let (mut credentials, mut revision) = (BTreeMap::new(), String::new());
    if let Some(in_force) = &in_force {
        let accompanying = app.secrets.of(tenant, &in_force.grant).await?;
        credentials = accompanying.credentials;
        revision = format!("{}{}", in_force.revision, accompanying.revision);
    }
    let make = || {
        let granted = in_force.as_ref().map(|it| it.grant.http.clone());
        Network::new(Rules {
            open: live.settings.allow_http.clone(),
            asked: asked.clone(),
            granted: granted.unwrap_or_default(),
            credentials,
            host: Some(app.address),
            ..Rules::default()
        })
    };
    let digest = installed.row.digest;
    live.networks.of(tenant, digest, revision, make).await
}
