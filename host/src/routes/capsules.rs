//! Listing what is installed, and the tools of it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use soma_capability::{Capabilities, CapsuleName, Digest, Limits, Tool};

use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::catalog::Installed;
use crate::db::capsules::Logged;
use crate::error::Error;
use crate::logs::Logs;
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
    /// The log that it came from, and the leaf in it; none where it came as a file.
    origin: Option<&'a str>,
    leaf: Option<u64>,
    /// Whether its publisher would not have it chosen any more.
    yanked: bool,
    /// Why it must not run any more.
    revoked: Option<String>,
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
    /// What its manifest asks for.
    capabilities: &'a Capabilities,
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
    fn of(Installed { row, about }: &'a Installed, logs: &Logs) -> Self {
        let logged = row.logged.as_ref();
        let revoked = logs.revocation(row);
        Self {
            origin: logged.map(Logged::origin),
            leaf: logged.map(|logged| logged.leaf),
            yanked: logs.is_yanked(row),
            revoked: revoked.map(|revoked| revoked.revocation.reason),
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
    fn of(installed: &'a Installed, logs: &Logs) -> Self {
        let tools = &installed.about.tools;
        Self {
            head: Head::of(installed, logs),
            tools: tools.iter().map(|ready| ready.tool.name.as_str()).collect(),
        }
    }
}

impl<'a> Full<'a> {
    fn of(installed: &'a Installed, logs: &Logs, live: &Live) -> Self {
        let about = &installed.about;
        Self {
            head: Head::of(installed, logs),
            limits: policy::limits(live, &about.manifest),
            imports: &about.imports,
            capabilities: &about.manifest.capabilities,
            tools: about.tools.iter().map(|ready| &ready.tool).collect(),
        }
    }
}

/// Everything about one capsule.
pub(super) fn full(app: &App, installed: &Installed) -> Value {
    json!(Full::of(installed, &app.logs, &app.live().settings))
}

pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Value>, Error> {
    let installed = app.catalog.list(caller.tenant_id()).await?;
    let capsules: Vec<Summary<'_>> = installed
        .iter()
        .map(|installed| Summary::of(installed, &app.logs))
        .collect();
    Ok(Json(json!({ "capsules": capsules })))
}

pub(crate) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    CapsulePath(name): CapsulePath,
) -> Result<Json<Value>, Error> {
    let installed = app.catalog.find(caller.tenant_id(), &name).await?;
    Ok(Json(full(&app, &installed)))
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
