//! The table `oci_documents`: what OCI clients are served beside capsule files.

use semver::Version;
use soma_capability::{CapsuleName, Digest};
use soma_registry::oci::{Artifact, Blob, Descriptor, Referrer, index};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};

/// One of them.
pub(crate) struct Document {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) body: String,
    /// The version, where this is a capsule's manifest.
    pub(crate) version: Option<Version>,
}

/// What else is said of a document when it is written.
#[derive(Default)]
struct Role {
    version: Option<String>,
    subject: Option<String>,
}

/// Writes all that is about one version.
pub(crate) async fn insert(
    tx: &mut AnyConnection,
    capsule: &CapsuleName,
    version: &Version,
    artifact: &Artifact,
    referrer: &Referrer,
) -> sqlx::Result<()> {
    // What the fallback tag names, to be had by its digest too.
    let listed = index(&[referrer.descriptor()]);
    let listed = listed.map_err(|error| sqlx::Error::Encode(error.into()))?;
    let of_version = Role {
        version: Some(version.to_string()),
        ..Role::default()
    };
    let attached = Role {
        subject: Some(artifact.manifest.digest.to_string()),
        ..Role::default()
    };
    for (blob, role) in [
        (&artifact.config, Role::default()),
        (&artifact.manifest, of_version),
        (&referrer.config, Role::default()),
        (&referrer.bundle, Role::default()),
        (&referrer.manifest, attached),
        (&listed, Role::default()),
    ] {
        put(tx, capsule, blob, role).await?;
    }
    Ok(())
}

async fn put(
    tx: &mut AnyConnection,
    capsule: &CapsuleName,
    blob: &Blob,
    role: Role,
) -> sqlx::Result<()> {
    let body = std::str::from_utf8(&blob.bytes);
    let body = body.map_err(|error| sqlx::Error::Encode(error.into()))?;
    // The empty config is the same for all.
    sqlx::query(
        "INSERT INTO oci_documents (namespace, name, digest, media_type, body, version, subject)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(blob.digest.to_string())
    .bind(blob.media_type)
    .bind(body)
    .bind(role.version)
    .bind(role.subject)
    .execute(tx)
    .await?;
    Ok(())
}

/// The document of this digest.
pub(crate) async fn get(
    pool: &AnyPool,
    capsule: &CapsuleName,
    digest: &Digest,
) -> sqlx::Result<Option<Document>> {
    one(pool, capsule, "digest", &digest.to_string()).await
}

/// The manifest of a version.
pub(crate) async fn manifest(
    pool: &AnyPool,
    capsule: &CapsuleName,
    version: &Version,
) -> sqlx::Result<Option<Document>> {
    one(pool, capsule, "version", &version.to_string()).await
}

async fn one(
    pool: &AnyPool,
    capsule: &CapsuleName,
    column: &'static str,
    value: &str,
) -> sqlx::Result<Option<Document>> {
    let select = format!(
        "SELECT digest, media_type, body, version FROM oci_documents
         WHERE namespace = $1 AND name = $2 AND {column} = $3"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(select))
        .bind(capsule.namespace())
        .bind(capsule.name())
        .bind(value)
        .fetch_optional(pool)
        .await?;
    row.as_ref().map(document).transpose()
}

/// The manifests that name this one as their subject.
pub(crate) async fn referrers(
    pool: &AnyPool,
    capsule: &CapsuleName,
    subject: &Digest,
) -> sqlx::Result<Vec<Descriptor>> {
    let rows = sqlx::query(
        "SELECT digest, media_type, body, version FROM oci_documents
         WHERE namespace = $1 AND name = $2 AND subject = $3",
    )
    .bind(capsule.namespace())
    .bind(capsule.name())
    .bind(subject.to_string())
    .fetch_all(pool)
    .await?;
    let descriptor = |row| {
        let document = document(row)?;
        Ok(Descriptor {
            media_type: document.media_type,
            digest: document.digest,
            size: document.body.len() as u64,
            artifact_type: Some(soma_registry::BUNDLE_TYPE.to_owned()),
            annotations: std::collections::BTreeMap::new(),
        })
    };
    rows.iter().map(descriptor).collect()
}

fn document(row: &AnyRow) -> sqlx::Result<Document> {
    let digest: &str = row.try_get("digest")?;
    let version: Option<&str> = row.try_get("version")?;
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
    Ok(Document {
        digest: digest.parse().map_err(|error| broken(Box::new(error)))?,
        media_type: row.try_get("media_type")?,
        body: row.try_get("body")?,
        version: version
            .map(str::parse)
            .transpose()
            .map_err(|error| broken(Box::new(error)))?,
    })
}
