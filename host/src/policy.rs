//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator grants.

use std::collections::BTreeMap;
use std::sync::Arc;

use soma_capability::{Capabilities, Grant, KvCapability, Limits, Settings};
use soma_registry::Manifest;
use soma_runtime::{Given, Left, Links, Network, Rules};

use crate::app::{App, AppState, InForce};
use crate::catalog::Installed;
use crate::db::grants::Granted;
use crate::error::Error;
use crate::invoke::Origin;
use crate::settings::Live;
use crate::toolbox;
use crate::watches::Watched;

/// The manifest's wishes over the host's defaults, nothing above the host's maximum.
pub(crate) fn limits(live: &Live, manifest: &Manifest) -> Limits {
    live.default_limits
        .asked(&manifest.limits, &live.maximum_limits)
}

/// Nothing above what is left of the call that this one is within.
pub(crate) fn within(limits: Limits, Left { fuel, time, .. }: Left) -> Limits {
    let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Limits {
        fuel: limits.fuel.min(fuel),
        time_ms: limits.time_ms.min(time),
        ..limits
    }
}

/// What is both asked for and granted, and what is open to every capsule.
pub(crate) async fn given(
    app: &AppState,
    live: &InForce,
    origin: &Origin,
    installed: &Arc<Installed>,
) -> Result<Given, Error> {
    let asked = &installed.about.manifest.capabilities;
    let narrowed = origin.caller.narrowed(&installed.row.name);
    let watched = app.watches.of(origin.caller.tenant_id(), installed);
    if asked.is_empty() && narrowed.is_none() && watched.is_none() {
        return Ok(Given {
            network: live.networks.open(),
            ..Given::default()
        });
    }
    let tenant = origin.caller.tenant_id();
    let in_force = app.grants.of(tenant, installed).await?;
    let granted = in_force.as_ref().map(|it| &it.grant);
    let store = |granted| {
        let mut quota = quota(granted, asked)?;
        if let Some(narrowed) = narrowed {
            quota = quota.at_most(narrowed.kv?);
        }
        Some(app.stores.of(tenant, installed, quota))
    };
    Ok(Given {
        settings: granted.map_or_else(Settings::default, |it| settings(it, asked)),
        kv: granted.and_then(store).unwrap_or_default(),
        tools: in_force
            .as_ref()
            .and_then(|granted| toolbox::of(app, origin, installed, granted))
            .unwrap_or_default(),
        network: network(app, live, origin, installed, in_force, watched).await?,
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
    origin: &Origin,
    installed: &Installed,
    in_force: Option<Arc<Granted>>,
    watched: Option<Arc<Watched>>,
) -> Result<Network, Error> {
    let asked = &installed.about.manifest.capabilities;
    let narrowed = origin.caller.narrowed(&installed.row.name);
    let is_bare = asked.http.is_empty() && asked.links.is_empty();
    if is_bare && narrowed.is_none() && watched.is_none() {
        return Ok(live.networks.open());
    }
    let tenant = origin.caller.tenant_id();
    let (mut credentials, mut revision) = (BTreeMap::new(), String::new());
    if let Some(in_force) = &in_force {
        let accompanying = app
            .secrets
            .of(origin.caller.whose(), &in_force.grant)
            .await?;
        credentials = accompanying.credentials;
        revision = format!("{}{}", in_force.revision, accompanying.revision);
    }
    if narrowed.is_some() {
        revision.push_str(origin.caller.key_id());
    }
    if let Some(watched) = &watched {
        revision.push_str(&watched.revision);
    }
    let make = || {
        let granted = in_force.as_ref().map(|it| &it.grant);
        Network::new(Rules {
            open: live.settings.allow_http.clone(),
            asked: asked.http.clone(),
            granted: granted.map(|it| it.http.clone()).unwrap_or_default(),
            narrowed: narrowed.map(|it| it.http.clone()),
            links: Links {
                asked: asked.links.clone(),
                granted: granted.map(|it| it.links.clone()).unwrap_or_default(),
                narrowed: narrowed.map(|it| it.links.clone()),
            },
            credentials,
            host: Some(app.address),
            watched: watched.as_ref().map(|it| it.learned.clone()),
            ..Rules::default()
        })
    };
    let digest = installed.row.digest;
    live.networks.of(tenant, digest, revision, make).await
}
