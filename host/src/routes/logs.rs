//! What follows from the logs: how they stand, and what is newer than what is installed.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use semver::Version;
use serde::Serialize;
use serde_json::{Value, json};
use soma_capability::CapsuleName;
use soma_registry::log::Checkpoint;

use crate::app::AppState;
use crate::auth::{Admin, Caller};
use crate::db;
use crate::error::Error;
use crate::{logs, updates};

/// One log.
#[derive(Serialize)]
struct Log<'a> {
    origin: &'a str,
    log: String,
    url: &'a str,
    /// Whether the marketplace is still in the list.
    followed: bool,
    /// Leaves taken in.
    size: u64,
    /// Seconds since it is last known to have had nothing newer.
    silence: Option<u64>,
    checkpoint: Option<String>,
    /// Why it is not believed any more, and the checkpoint that contradicts the other.
    distrusted: Option<&'a str>,
    evidence: Option<&'a str>,
}

/// A capsule of which there is a newer version, or that must not run any more.
#[derive(Serialize)]
struct Outdated<'a> {
    name: &'a CapsuleName,
    version: &'a Version,
    /// None where no newer one may be chosen.
    newest: Option<Version>,
    origin: &'a str,
    /// Why the installed version was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

pub(crate) async fn list(State(app): State<AppState>, _: Admin) -> Result<Json<Value>, Error> {
    let trust = app.live().settings.trust.clone();
    let sources = app.logs.sources();
    let all = db::logs::list(&app.pool).await?;
    let entry = |followed| {
        let fresh = logs::fresh(followed, &trust);
        let note = followed.checkpoint.as_ref().map(Checkpoint::to_bytes);
        Log {
            origin: followed.key.origin(),
            log: followed.key.to_string(),
            url: &followed.url,
            followed: sources
                .iter()
                .any(|source| source.client.key() == &followed.key),
            size: followed.frontier.size(),
            silence: fresh.map(|fresh| logs::now().saturating_sub(fresh)),
            checkpoint: note.map(|note| String::from_utf8_lossy(&note).into_owned()),
            distrusted: followed.distrusted.as_deref(),
            evidence: followed.evidence.as_deref(),
        }
    };
    let entries: Vec<Log<'_>> = all.iter().map(entry).collect();
    Ok(Json(json!({ "logs": entries })))
}

/// A log of which it is not known whether it has anything newer.
#[derive(Serialize)]
struct Unseen<'a> {
    origin: &'a str,
    /// Since it was last looked at.
    seconds: u64,
}

/// The tenant's capsules of which the log has a newer version that may be chosen, and those that
/// were revoked; which logs could not be looked at, and which are not believed any more.
pub(crate) async fn outdated(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Value>, Error> {
    let trust = app.live().settings.trust.clone();
    let installed = app.catalog.list(caller.tenant_id()).await?;
    let mut connection = app.pool.acquire().await?;
    let mut outdated = Vec::new();
    let mut unseen = BTreeMap::new();
    let mut distrusted = BTreeSet::new();
    for capsule in &installed {
        let Some(logged) = &capsule.row.logged else {
            continue;
        };
        if let Some(seconds) = app.logs.unseen(&capsule.row, &trust) {
            let origin = logged.origin();
            unseen.insert(origin, Unseen { origin, seconds });
        }
        if app.logs.is_distrusted(&capsule.row) {
            distrusted.insert(logged.origin());
        }
        let newest = updates::newest(&mut connection, capsule, trust.minimum_age).await?;
        let revoked = app.logs.revocation(&capsule.row);
        if newest.is_some() || revoked.is_some() {
            outdated.push(Outdated {
                name: &capsule.row.name,
                version: &capsule.about.manifest.version,
                newest: newest.map(|release| release.version),
                origin: logged.origin(),
                revoked: revoked.map(|revoked| revoked.revocation.reason),
            });
        }
    }
    let unseen: Vec<_> = unseen.into_values().collect();
    Ok(Json(json!({
        "outdated": outdated, "unseen": unseen, "distrusted": distrusted,
    })))
}
