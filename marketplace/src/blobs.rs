//! Where capsule files are: each under its digest, in a folder or in S3.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use soma_capability::Digest;
use url::Url;

const FOLDER: &str = "sha256";

/// The store of capsule files. What is there under a digest has that digest: it was checked
/// before, and is checked again by whoever fetches it.
#[derive(Clone)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// Opens a folder, which is made where it is missing, or `s3://BUCKET[/PREFIX]`.
    pub(crate) fn open(place: &str) -> anyhow::Result<Self> {
        let store: Arc<dyn ObjectStore> = match place.strip_prefix("s3://") {
            Some(_) => s3(place)?,
            None if place.contains("://") => bail!("`{place}`: a folder or s3://BUCKET[/PREFIX]"),
            None => {
                std::fs::create_dir_all(place).with_context(|| format!("the folder {place}"))?;
                Arc::new(LocalFileSystem::new_with_prefix(place)?.with_fsync(true))
            }
        };
        Ok(Self { store })
    }

    /// Keeps a file. Nothing is seen of it before it is whole.
    pub(crate) async fn put(&self, digest: &Digest, bytes: Bytes) -> object_store::Result<()> {
        self.store.put(&path(digest), bytes.into()).await?;
        Ok(())
    }

    /// The file, read as fast as it is sent on: how long it is, and its pieces.
    pub(crate) async fn open_file(&self, digest: &Digest) -> object_store::Result<(u64, Body)> {
        let found = self.store.get(&path(digest)).await?;
        Ok((found.meta.size, Body::from_stream(found.into_stream())))
    }

    pub(crate) async fn get(&self, digest: &Digest) -> object_store::Result<Bytes> {
        self.store.get(&path(digest)).await?.bytes().await
    }

    /// The files that were kept longer ago than `age`.
    pub(crate) async fn older_than(&self, age: Duration) -> object_store::Result<Vec<Digest>> {
        let newest =
            Timestamp::now().as_millisecond() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        let mut listed = self.store.list(Some(&Path::from(FOLDER)));
        while let Some(object) = listed.try_next().await? {
            let digest = object.location.filename();
            let digest: Option<Digest> =
                digest.and_then(|hex| format!("sha256:{hex}").parse().ok());
            if object.last_modified.timestamp_millis() < newest {
                found.extend(digest);
            }
        }
        Ok(found)
    }

    pub(crate) async fn delete(&self, digest: &Digest) -> object_store::Result<()> {
        self.store.delete(&path(digest)).await
    }
}

fn path(digest: &Digest) -> Path {
    Path::from_iter([FOLDER, &digest.hex()])
}

fn s3(place: &str) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let url = Url::parse(place).with_context(|| format!("`{place}`"))?;
    // Whoever was first wins, and it is the same provider everywhere in this project.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bucket = url.host_str().context("an s3:// URL names a bucket")?;
    // Endpoint, region and keys come from the usual AWS_ variables.
    let store = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .build()
        .context("the S3 store")?;
    let prefix = url.path().trim_matches('/');
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}
