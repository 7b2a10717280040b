//! A capsule and its bundle, to a registry.

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use soma_capability::Digest;

use crate::package::Package;

use super::MAX_DOCUMENT_BYTES;
use super::artifact::Artifact;
use super::blob::{Blob, Descriptor};
use super::error::RegistryError;
use super::manifest::ImageIndex;
use super::reference::{Reference, Selector};
use super::referrer::{Referrer, fallback_tag, with_entry};
use super::registry::Registry;
use super::session::{Access, Session};

/// Where a capsule is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// With the tag that it got.
    pub reference: Reference,
    /// The manifest's digest, under which nothing else can ever be pulled.
    pub manifest: Digest,
}

/// A registry with a referrers API says with it that it has understood the subject.
const OCI_SUBJECT: &str = "oci-subject";

impl Registry {
    /// Pushes a capsule, and its bundle where there is one. Without a tag in the reference, the
    /// capsule's version becomes the tag, with `_` for the `+` that tags do not have.
    ///
    /// The tag is moved last, so that whoever pulls it finds the bundle there.
    pub async fn push(
        &self,
        package: &Package,
        bundle: Option<&[u8]>,
        reference: &Reference,
    ) -> Result<Pushed, RegistryError> {
        let reference = match reference.selector() {
            Some(Selector::Tag(_)) => reference.clone(),
            Some(Selector::Digest(_)) => {
                return Err(RegistryError::PushToDigest(reference.clone()));
            }
            None => reference.with_tag(&version_tag(package))?,
        };
        if bundle.is_some_and(|bundle| bundle.len() > MAX_DOCUMENT_BYTES) {
            return Err(RegistryError::TooLarge {
                what: format!("the bundle for {reference}"),
                bound: MAX_DOCUMENT_BYTES,
            });
        }
        let artifact = Artifact::of(package)?;
        let mut session = Session::open(&reference, Access::Push, self.credentials.as_ref())?;
        session.put_blob(&artifact.layer, package.bytes()).await?;
        session.put_blob_of(&artifact.config).await?;
        session.put_manifest(&artifact.manifest, None).await?;
        if let Some(bundle) = bundle {
            session
                .attach(&Referrer::of(&artifact, bundle)?, &artifact)
                .await?;
        }
        if let Some(Selector::Tag(tag)) = reference.selector() {
            session.put_manifest(&artifact.manifest, Some(tag)).await?;
        }
        Ok(Pushed {
            manifest: artifact.manifest.digest,
            reference,
        })
    }
}

fn version_tag(package: &Package) -> String {
    package.manifest().version.to_string().replace('+', "_")
}

impl Session<'_> {
    async fn attach(
        &mut self,
        referrer: &Referrer,
        artifact: &Artifact,
    ) -> Result<(), RegistryError> {
        self.put_blob_of(&referrer.config).await?;
        self.put_blob_of(&referrer.bundle).await?;
        let response = self.put_manifest(&referrer.manifest, None).await?;
        if response.headers().contains_key(OCI_SUBJECT) {
            return Ok(());
        }
        // Two at once could overwrite each other's entry: registries have no better way.
        let tag = fallback_tag(artifact.manifest.digest);
        let present = match self.manifest(&tag).await {
            Ok(bytes) => serde_json::from_slice::<ImageIndex>(&bytes).map(Some),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => return Err(error),
        };
        let present = present.map_err(|error| RegistryError::Malformed {
            what: self.what(format_args!("the index `{tag}`")),
            problem: error.to_string(),
        })?;
        let index = with_entry(present, &referrer.descriptor())?;
        self.put_manifest(&index, Some(&tag)).await?;
        Ok(())
    }

    async fn put_manifest(
        &mut self,
        manifest: &Blob,
        tag: Option<&str>,
    ) -> Result<Response, RegistryError> {
        let digest = manifest.digest.to_string();
        let name = tag.unwrap_or(&digest);
        let what = self.what(format_args!("the manifest `{name}`"));
        let request = self
            .request(Method::PUT, self.url(&format!("manifests/{name}")))
            .header(CONTENT_TYPE, manifest.media_type)
            .body(manifest.bytes.clone());
        self.send(request, &what, &[StatusCode::CREATED]).await
    }

    async fn put_blob_of(&mut self, blob: &Blob) -> Result<(), RegistryError> {
        self.put_blob(&blob.descriptor(), &blob.bytes).await
    }

    async fn put_blob(
        &mut self,
        descriptor: &Descriptor,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let digest = descriptor.digest;
        let what = self.what(format_args!("the blob {digest}"));
        let head = self.request(Method::HEAD, self.url(&format!("blobs/{digest}")));
        match self.send(head, &what, &[StatusCode::OK]).await {
            Ok(_) => return Ok(()),
            Err(RegistryError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let start = self
            .request(Method::POST, self.url("blobs/uploads/"))
            .header(CONTENT_LENGTH, 0);
        let started = self.send(start, &what, &[StatusCode::ACCEPTED]).await?;
        let mut location = self.upload_location(&started, &what)?;
        location
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let upload = self
            .request(Method::PUT, location)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Bytes::copy_from_slice(bytes));
        self.send(upload, &what, &[StatusCode::CREATED]).await?;
        Ok(())
    }

    fn upload_location(&self, response: &Response, what: &str) -> Result<Url, RegistryError> {
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        let url = location.and_then(|text| response.url().join(text).ok());
        let url = url.filter(|url| self.may_go_to(url));
        url.ok_or_else(|| RegistryError::Malformed {
            what: what.to_owned(),
            problem: "it does not say where to upload to, or not with TLS".to_owned(),
        })
    }
}
