//! Namespaces: who owns them.

use axum::Json;
use axum::extract::State;
use soma_registry::api::NamespaceInfo;

use crate::app::AppState;
use crate::db::namespaces;
use crate::error::Error;
use crate::path::NamespacePath;

/// Who owns a namespace.
#[utoipa::path(
    get,
    path = "/v1/namespaces/{namespace}",
    operation_id = "getNamespace",
    tag = "Capsules",
    params(NamespacePath),
    responses(
        (status = 200, description = "Owners and keys, as the log has them.", body = NamespaceInfo),
        Error
    ),
)]
pub(crate) async fn get(
    State(app): State<AppState>,
    NamespacePath(name): NamespacePath,
) -> Result<Json<NamespaceInfo>, Error> {
    let mut connection = app.pool.acquire().await?;
    let state = namespaces::get(&mut connection, &name).await?;
    let state = state.ok_or_else(|| Error::NotFound(format!("namespace `{name}`")))?;
    Ok(Json(NamespaceInfo { name, state }))
}
