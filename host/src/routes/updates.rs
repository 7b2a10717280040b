//! Updates that wait for an administrator's word, and the way back.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soma_capability::{CapsuleName, Digest};

use super::capsules::full;
use super::grants::{OfQuery, tenant};
use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::{Admin, Caller};
use crate::body::Document;
use crate::catalog::Word;
use crate::consent::Reason;
use crate::db::aside::{self, Aside, Standing};
use crate::db::capsules::Installation;
use crate::db::releases;
use crate::db::tenants::Tenant;
use crate::error::Error;
use crate::path::CapsulePath;
use crate::updates::admit;

/// The file that the word is given on: the one that was looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Meant {
    digest: Digest,
}

/// One update that waits.
#[derive(Serialize)]
struct Held<'a> {
    capsule: &'a CapsuleName,
    version: &'a semver::Version,
    digest: Digest,
    reasons: &'a [Reason],
    arrived_at: jiff::Timestamp,
    /// Why it must not run, whatever anybody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

pub(crate) async fn list(
    State(app): State<AppState>,
    Admin(caller): Admin,
    query: OfQuery,
) -> Result<Json<Value>, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    let aside = aside::list(&app.pool, &tenant.id).await?;
    let held = aside
        .iter()
        .filter(|aside| aside.standing == Standing::Held);
    let held = held.map(|aside| Held {
        capsule: &aside.row.name,
        version: &aside.version,
        digest: aside.row.digest,
        reasons: &aside.reasons,
        arrived_at: aside.row.installed_at,
        revoked: app
            .logs
            .revocation(&aside.row)
            .map(|it| it.revocation.reason),
    });
    Ok(Json(json!({ "updates": held.collect::<Vec<_>>() })))
}

pub(crate) async fn get(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<Json<Value>, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    let _steady = app.catalog.steady().await;
    let shelf = app.catalog.expect_shelf(&tenant.id, &capsule).await?;
    let mut serving = full(&app, &shelf.serving);
    serving["signer"] = signer(&app, &shelf.serving.row).await?;
    let mut held = describe(&app, shelf.held.as_ref()).await?;
    if let Some(aside) = &shelf.held {
        held["reasons"] = json!(aside.reasons);
        held["signer"] = signer(&app, &aside.row).await?;
    }
    Ok(Json(json!({
        "capsule": capsule,
        "serving": serving,
        "held": held,
        "previous": describe(&app, shelf.previous.as_ref()).await?,
    })))
}

/// From now on the update that was held serves.
pub(crate) async fn approve(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
    Document(meant): Document<Meant>,
) -> Result<Json<Value>, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    give(app, caller, tenant, capsule, Word::Approve, meant.digest).await
}

/// From now on what served before serves again.
pub(crate) async fn roll_back(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
    Document(meant): Document<Meant>,
) -> Result<Json<Value>, Error> {
    let tenant = tenant(&app, &caller, query).await?;
    give(app, caller, tenant, capsule, Word::RollBack, meant.digest).await
}

async fn give(
    app: AppState,
    caller: Caller,
    tenant: Tenant,
    capsule: CapsuleName,
    word: Word,
    digest: Digest,
) -> Result<Json<Value>, Error> {
    let shelf = {
        let _steady = app.catalog.steady().await;
        app.catalog.expect_shelf(&tenant.id, &capsule).await?
    };
    admit(&app, &shelf.meant(word, &digest)?.row)?;
    let catalog = &app.catalog;
    let serving = catalog.give(&tenant.id, &capsule, word, &digest).await?;
    let (of, key) = (tenant.name, caller.key_id());
    let said = match word {
        Word::Approve => "update approved",
        Word::RollBack => "rolled back",
    };
    tracing::warn!(tenant = of, %capsule, key, %digest, "{said}");
    let event = match word {
        Word::Approve => Event::Approval {
            capsule,
            of,
            digest,
        },
        Word::RollBack => Event::Rollback {
            capsule,
            of,
            digest,
        },
    };
    app.audit.by(&caller, event).await?;
    Ok(Json(full(&app, &serving)))
}

/// Who published a version, as its log has it; null of what no log has.
async fn signer(app: &App, row: &Installation) -> Result<Value, Error> {
    let Some(logged) = &row.logged else {
        return Ok(Value::Null);
    };
    let mut connection = app.pool.acquire().await?;
    let releases = releases::of_capsule(&mut connection, &logged.log, &row.name).await?;
    let release = releases.iter().find(|release| release.digest == row.digest);
    Ok(release.map_or(
        Value::Null,
        |release| json!({"account": release.account, "key": release.key}),
    ))
}

async fn describe(app: &App, aside: Option<&Aside>) -> Result<Value, Error> {
    match aside {
        None => Ok(Value::Null),
        Some(aside) => Ok(full(app, &app.catalog.describe_aside(aside).await?)),
    }
}
