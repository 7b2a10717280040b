//! Installing capsules, from a marketplace or from a file, and uninstalling them.

use axum::Json;
use axum::extract::{FromRequest as _, Query, Request, State};
use http::StatusCode;
use serde_json::{Value, json};
use soma_registry::Check;

use super::capsules::full;
use super::grants::{self, Of, OfQuery};
use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::{Admin, Caller};
use crate::body::{self, Document, JSON, WASM};
use crate::catalog::{Change, Done, Fresh, Installed};
use crate::db::capsules::Logged;
use crate::db::tenants::Tenant;
use crate::error::Error;
use crate::finished::Finished;
use crate::install::{self, Arrived, Brought, Timings};
use crate::key::Scope;
use crate::path::CapsulePath;

/// The capsule, and `change`: what the installation did. 201 where the name was free, 202 where what
/// serves goes on serving until this is approved. The body says what is wanted from a marketplace,
/// or is a file with its bundles, or a file alone.
pub(crate) async fn install(
    State(app): State<AppState>,
    caller: Caller,
    query: OfQuery,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Error> {
    caller.require(Scope::Install)?;
    app.audit.admit()?;
    // Before the body: whoever is turned away costs nothing.
    let tenant = whose(&app, &caller, query).await?;
    let place = app.admission.install(&tenant.id)?;
    if body::is_of_type(request.headers(), JSON) {
        let Document(wanted) = Document::from_request(request, &app).await?;
        let from_marketplace = {
            let (app, caller, tenant) = (app.clone(), caller.clone(), tenant.clone());
            async move {
                let _place = place;
                let arrived = install::fetch(&app, &wanted).await?;
                if wanted.preview {
                    return Ok(preview(&app, &tenant, arrived));
                }
                keep(&app, &caller, &tenant, arrived).await
            }
        };
        return Finished::new(from_marketplace).await;
    }
    if body::is_of_type(request.headers(), install::FORM) {
        let brought = Brought::from_request(request, &app).await?;
        let proven = {
            let (app, caller, tenant) = (app.clone(), caller.clone(), tenant.clone());
            async move {
                let _place = place;
                let arrived = install::prove_brought(&app, brought).await?;
                keep(&app, &caller, &tenant, arrived).await
            }
        };
        return Finished::new(proven).await;
    }
    install::admit_file(&app.live().settings.trust)?;
    let file = body::read(&app, request, WASM, soma_registry::MAX_FILE_BYTES as u64).await?;
    let from_file = {
        let (app, caller) = (app.clone(), caller.clone());
        async move {
            let _place = place;
            let done = install::from_file(&app, &tenant.id, file).await?;
            installed(&app, &caller, &tenant, &done).await
        }
    };
    Finished::new(from_file).await
}

/// Whose capsule it will be: another tenant's, where an administrator says so.
async fn whose(app: &App, caller: &Caller, query: OfQuery) -> Result<Tenant, Error> {
    if let Ok(Query(Of { tenant: Some(_) })) = &query {
        caller.require(Scope::Admin)?;
    }
    grants::tenant(app, caller, query).await
}

/// What would be installed.
fn preview(app: &App, tenant: &Tenant, arrived: Arrived) -> (StatusCode, Json<Value>) {
    let Fresh { package, about } = arrived.fresh;
    let would_be = Installed {
        row: about.row(package.bytes(), Some(arrived.proof.logged)),
        about: about.into(),
    };
    let mut answer = full(app, &would_be);
    answer["tenant"] = json!(tenant.name);
    answer["change"] = Value::Null;
    answer["installed_at"] = Value::Null;
    (
        StatusCode::OK,
        checked(answer, &arrived.checks, arrived.timings),
    )
}

async fn keep(
    app: &App,
    caller: &Caller,
    tenant: &Tenant,
    arrived: Arrived,
) -> Result<(StatusCode, Json<Value>), Error> {
    let (done, checks, timings) = install::finish(app, &tenant.id, arrived).await?;
    let (status, Json(answer)) = installed(app, caller, tenant, &done).await?;
    Ok((status, checked(answer, &checks, timings)))
}

/// With the checks that were made, and how long each part took.
fn checked(mut answer: Value, checks: &[Check], timings: Timings) -> Json<Value> {
    answer["checks"] = json!(checks);
    answer["timings"] = json!(timings);
    Json(answer)
}

async fn installed(
    app: &App,
    caller: &Caller,
    tenant: &Tenant,
    done: &Done,
) -> Result<(StatusCode, Json<Value>), Error> {
    let Done {
        installed,
        change,
        reasons,
        ..
    } = done;
    let logged = installed.row.logged.as_ref();
    tracing::info!(
        tenant = tenant.name,
        capsule = %installed.row.name,
        version = %installed.about.manifest.version,
        digest = %installed.row.digest,
        origin = logged.map(Logged::origin),
        leaf = logged.map(|logged| logged.leaf),
        ?change,
        "installed"
    );
    let is_another = tenant.id != caller.tenant_id();
    let of = is_another.then(|| tenant.name.clone());
    app.audit.by(caller, done.event(of)).await?;
    let status = match change {
        Change::Created => StatusCode::CREATED,
        Change::Replaced | Change::Unchanged => StatusCode::OK,
        Change::Held => StatusCode::ACCEPTED,
    };
    let mut answer = full(app, installed);
    answer["tenant"] = json!(tenant.name);
    answer["change"] = json!(change);
    if *change == Change::Held {
        answer["reasons"] = json!(reasons);
    }
    Ok((status, Json(answer)))
}

/// For administrators alone: it takes back what was approved, so that whatever is installed next
/// under the name serves at once.
pub(crate) async fn uninstall(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(name): CapsulePath,
) -> Result<StatusCode, Error> {
    let uninstall = {
        let (app, caller, name) = (app.clone(), caller.clone(), name.clone());
        async move {
            app.catalog.uninstall(caller.tenant_id(), &name).await?;
            // Its grant went with it: whoever installs it anew is asked anew.
            app.grants.forget();
            let event = Event::Uninstall { capsule: name };
            app.audit.by(&caller, event).await?;
            Ok::<_, Error>(())
        }
    };
    Finished::new(uninstall).await?;
    tracing::info!(tenant = caller.tenant(), capsule = %name, "uninstalled");
    Ok(StatusCode::NO_CONTENT)
}
