//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use soma_capability::{Capabilities, Grant, KvCapability, Limits, Settings};
use soma_registry::Manifest;
use soma_runtime::{Given, Network, Rules};

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

/// What is both asked for and granted, and what is open to every capsule.
pub(crate) async fn given(
    app: &App,
    live: &InForce,
    tenant: &str,
    installed: &Installed,
) -> Result<Given, Error> {
    let asked = &installed.about.manifest.capabilities;
    if asked.http.is_empty() && asked.config.is_empty() && asked.kv.is_none() {
        return Ok(Given {
            network: live.networks.open(),
            ..Given::default()
        });
    }
    let in_force = app.grants.of(tenant, installed).await?;
    let granted = in_force.as_ref().map(|it| &it.grant);
    let store = |granted| Some(app.stores.of(tenant, installed, quota(granted, asked)?));
    Ok(Given {
        settings: granted.map_or_else(Settings::default, |it| settings(it, asked)),
        kv: granted.and_then(store).unwrap_or_default(),
        network: network(app, live, tenant, installed, in_force).await?,
    })
}

/// What a store may hold: the smaller of what is granted and asked for, none where one of them is not.
pub(crate) fn quota(granted: &Grant, asked: &Capabilities) -> Option<KvCapability> {
    Some(asked.kv?.at_most(granted.kv?))
}

/// Those that are granted and asked for: most of the time all that are granted.
fn settings(granted: &Grant, asked: &Capabilities) -> Settings {
    let all = &granted.config;
    if all.iter().all(|(key, _)| asked.asks_setting(key)) {
        return all.clone();
    }
    all.asked(&asked.config)
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
