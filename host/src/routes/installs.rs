//! Installing capsules, from a marketplace or from a file, and uninstalling them.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use http::StatusCode;
use serde_json::{Value, json};

use super::capsules::full;
use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::body::{self, Document, JSON, WASM};
use crate::catalog::{Change, Done, Installed};
use crate::db::capsules::Logged;
use crate::error::Error;
use crate::finished::Finished;
use crate::install::{self, Wanted};
use crate::key::Scope;
use crate::path::CapsulePath;

/// The capsule, and `change`: what the installation did. 201 where the name was free. The body says
/// what is wanted from a marketplace, or is a file itself.
pub(crate) async fn install(
    State(app): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Error> {
    caller.require(Scope::Install)?;
    // Before the body: whoever is turned away costs nothing.
    let place = app.admission.install()?;
    if body::is_of_type(request.headers(), JSON) {
        let Document(wanted) = Document::from_request(request, &app).await?;
        let from_marketplace = {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let _place = place;
                from_marketplace(&app, &caller, &wanted).await
            }
        };
        return Finished::new(from_marketplace).await;
    }
    install::admit_file(&app.live().settings.trust)?;
    let file = body::read(request, WASM, soma_registry::MAX_FILE_BYTES as u64).await?;
    let from_file = {
        let (app, tenant) = (app.clone(), caller.tenant_id().to_owned());
        async move {
            let _place = place;
            install::from_file(&app, &tenant, file).await
        }
    };
    let done = Finished::new(from_file).await?;
    Ok(installed(&app, &caller, &done))
}

/// The same, with the `checks` that were made and how long each part took.
async fn from_marketplace(
    app: &App,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<(StatusCode, Json<Value>), Error> {
    let arrived = install::fetch(app, wanted).await?;
    let (status, mut answer, checks, timings) = if wanted.preview {
        let logged = arrived.proof.logged.clone();
        let would_be = Installed {
            row: install::row_of(&arrived.fresh, Some(logged)),
            about: arrived.fresh.about.into(),
        };
        let mut answer = full(app, &would_be);
        answer["change"] = Value::Null;
        answer["installed_at"] = Value::Null;
        (StatusCode::OK, answer, arrived.checks, arrived.timings)
    } else {
        let finished = install::finish(app, caller.tenant_id(), arrived).await?;
        let (done, checks, timings) = finished;
        let (status, Json(answer)) = installed(app, caller, &done);
        (status, answer, checks, timings)
    };
    answer["checks"] = json!(checks);
    answer["timings"] = json!(timings);
    Ok((status, Json(answer)))
}

fn installed(app: &App, caller: &Caller, done: &Done) -> (StatusCode, Json<Value>) {
    let Done {
        installed, change, ..
    } = done;
    let logged = installed.row.logged.as_ref();
    tracing::info!(
        tenant = caller.tenant(),
        capsule = %installed.row.name,
        version = %installed.about.manifest.version,
        digest = %installed.row.digest,
        origin = logged.map(Logged::origin),
        leaf = logged.map(|logged| logged.leaf),
        ?change,
        "installed"
    );
    let status = match change {
        Change::Created => StatusCode::CREATED,
        Change::Replaced | Change::Unchanged => StatusCode::OK,
    };
    let mut answer = full(app, installed);
    answer["change"] = json!(change);
    (status, Json(answer))
}

pub(crate) async fn uninstall(
    State(app): State<AppState>,
    caller: Caller,
    CapsulePath(name): CapsulePath,
) -> Result<StatusCode, Error> {
    caller.require(Scope::Install)?;
    let uninstall = {
        let (app, tenant, name) = (app.clone(), caller.tenant_id().to_owned(), name.clone());
        async move { app.catalog.uninstall(&tenant, &name).await }
    };
    Finished::new(uninstall).await?;
    tracing::info!(tenant = caller.tenant(), capsule = %name, "uninstalled");
    Ok(StatusCode::NO_CONTENT)
}
