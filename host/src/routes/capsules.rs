//! Installing, listing and uninstalling capsules, and listing their tools.

use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use soma_capability::{CapsuleName, Digest, Limits, Tool};

use crate::app::AppState;
use crate::auth::Caller;
use crate::body::{self, WASM};
use crate::catalog::{Change, Installed};
use crate::error::Error;
use crate::finished::Finished;
use crate::key::Scope;
use crate::path::CapsulePath;
use crate::policy;
use crate::settings::Live;

/// What every answer about a capsule says.
#[derive(Serialize)]
struct Head<'a> {
    name: &'a CapsuleName,
    version: &'a semver::Version,
    description: &'a str,
    digest: Digest,
    size: i64,
    installed_at: Timestamp,
}

/// One capsule in a list.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Names alone.
    tools: Vec<&'a str>,
}

/// One capsule with everything about it.
#[derive(Serialize)]
struct Full<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// What one call gets, here and now.
    limits: Limits,
    imports: &'a [String],
    tools: Vec<&'a Tool>,
}

/// One tool in a list.
#[derive(Serialize)]
struct ListedTool<'a> {
    capsule: &'a CapsuleName,
    #[serde(flatten)]
    tool: &'a Tool,
}

impl<'a> Head<'a> {
    fn of(Installed { row, about }: &'a Installed) -> Self {
        Self {
            name: &row.name,
            version: &about.manifest.version,
            description: &about.manifest.description,
            digest: row.digest,
            size: row.size,
            installed_at: row.installed_at,
        }
    }
}

impl<'a> Summary<'a> {
    fn of(installed: &'a Installed) -> Self {
        let tools = &installed.about.tools;
        Self {
            head: Head::of(installed),
            tools: tools.iter().map(|ready| ready.tool.name.as_str()).collect(),
        }
    }
}

impl<'a> Full<'a> {
    fn of(installed: &'a Installed, live: &Live) -> Self {
        let about = &installed.about;
        Self {
            head: Head::of(installed),
            limits: policy::limits(live, &about.manifest),
            imports: &about.imports,
            tools: about.tools.iter().map(|ready| &ready.tool).collect(),
        }
    }
}

pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Value>, Error> {
    let installed = app.catalog.list(caller.tenant_id()).await?;
    let capsules: Vec<Summary<'_>> = installed.iter().map(Summary::of).collect();
    Ok(Json(json!({ "capsules": capsules })))
}

pub(crate) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    CapsulePath(name): CapsulePath,
) -> Result<Json<Value>, Error> {
    let installed = app.catalog.find(caller.tenant_id(), &name).await?;
    Ok(Json(json!(Full::of(&installed, &app.live().settings))))
}

/// The tools that the caller may call.
pub(crate) async fn tools(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Value>, Error> {
    let installed = app.catalog.list(caller.tenant_id()).await?;
    let mut tools = Vec::new();
    for Installed { row, about } in &installed {
        for ready in &about.tools {
            if caller.may_call(&row.name, &ready.tool.name) {
                tools.push(ListedTool {
                    capsule: &row.name,
                    tool: &ready.tool,
                });
            }
        }
    }
    Ok(Json(json!({ "tools": tools })))
}

/// The capsule, and `change`: what the installation did. 201 where the name was free.
pub(crate) async fn install(
    State(app): State<AppState>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Error> {
    caller.require(Scope::Install)?;
    // Before the body: whoever is turned away costs nothing.
    let place = app.admission.install()?;
    let file = body::read(request, WASM, soma_registry::MAX_FILE_BYTES as u64).await?;
    let quota = app.live().settings.quota;
    let install = {
        let (app, tenant) = (app.clone(), caller.tenant_id().to_owned());
        async move {
            let _place = place;
            app.catalog.install(&tenant, file, quota).await
        }
    };
    let (installed, change) = Finished::new(install).await?;
    tracing::info!(
        tenant = caller.tenant(),
        capsule = %installed.row.name,
        digest = %installed.row.digest,
        ?change,
        "installed"
    );
    let status = match change {
        Change::Created => StatusCode::CREATED,
        Change::Replaced | Change::Unchanged => StatusCode::OK,
    };
    let mut answer = json!(Full::of(&installed, &app.live().settings));
    answer["change"] = json!(change);
    Ok((status, Json(answer)))
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
