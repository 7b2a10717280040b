//! The `namespaces` table: owners and keys, as they follow from the log.

use soma_capability::Name;
use soma_registry::Namespace;
use sqlx::AnyConnection;

use super::{from_json, json};

pub(crate) async fn get(
    connection: &mut AnyConnection,
    name: &Name,
) -> sqlx::Result<Option<Namespace>> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM namespaces WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    state.as_deref().map(from_json).transpose()
}

pub(crate) async fn put(
    tx: &mut AnyConnection,
    name: &Name,
    skeleton: &str,
    state: &Namespace,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO namespaces (name, skeleton, state) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET state = excluded.state",
    )
    .bind(name.as_str())
    .bind(skeleton)
    .bind(json(state)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// The namespace that has this skeleton.
pub(crate) async fn by_skeleton(
    connection: &mut AnyConnection,
    skeleton: &str,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar("SELECT name FROM namespaces WHERE skeleton = $1")
        .bind(skeleton)
        .fetch_optional(connection)
        .await
}
