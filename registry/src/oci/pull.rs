//! A capsule and its bundles, from a registry.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use soma_capability::Digest;

use crate::package::MAX_FILE_BYTES;

use super::blob::Descriptor;
use super::error::RegistryError;
use super::manifest::{ImageIndex, ImageManifest};
use super::reference::{Reference, Selector};
use super::referrer::fallback_tag;
use super::registry::Registry;
use super::session::{Access, Session, checked};
use super::{
    BUNDLE_TYPE, CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MAX_BUNDLES, MAX_DOCUMENT_BYTES, body,
};

/// What a registry had. Digests fit; nothing else is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The manifest's digest.
    pub manifest: Digest,
    /// The layer's digest, and so the package's.
    pub digest: Digest,
    /// The capsule file, yet to be read.
    pub package: Vec<u8>,
    /// The bundles attached to it, the last eight that the registry lists: anybody who may push
    /// could have attached one, so it takes one that verifies.
    pub bundles: Vec<Vec<u8>>,
}

impl Registry {
    /// Pulls a capsule with the bundles attached to it.
    pub async fn pull(&self, reference: &Reference) -> Result<Pulled, RegistryError> {
        let selector = reference.selector();
        let selector = selector.ok_or_else(|| RegistryError::Unselected(reference.clone()))?;
        let mut session = Session::open(reference, Access::Pull, self.credentials.as_ref())?;
        let what = session.what(format_args!("the manifest `{selector}`"));
        let mut bytes = session.manifest(&selector.to_string()).await?;
        if let Selector::Digest(expected) = selector {
            bytes = checked(bytes, *expected, &what)?;
        }
        let manifest = Digest::of(&bytes);
        let layer = capsule_layer(&bytes, &what)?;
        let what = session.what(format_args!("the capsule file {}", layer.digest));
        let package = session.blob(&layer, MAX_FILE_BYTES, &what).await?;
        Ok(Pulled {
            manifest,
            digest: layer.digest,
            package,
            bundles: session.bundles(manifest).await?,
        })
    }
}

/// The one layer, where this is a capsule's manifest.
fn capsule_layer(bytes: &[u8], what: &str) -> Result<Descriptor, RegistryError> {
    let refused = |problem: String| RegistryError::NotACapsule {
        what: what.to_owned(),
        problem,
    };
    let kind = parse::<MediaType>(bytes, what)?;
    if kind.media_type.as_deref() == Some(INDEX_TYPE) {
        return Err(refused("it is an index of several artifacts".to_owned()));
    }
    let manifest = parse::<ImageManifest>(bytes, what)?;
    if manifest.config.media_type != CONFIG_TYPE {
        let found = manifest.config.media_type.escape_debug();
        return Err(refused(format!(
            "its config is `{found}`, not `{CONFIG_TYPE}`"
        )));
    }
    match <[Descriptor; 1]>::try_from(manifest.layers) {
        Ok([layer]) if layer.media_type == LAYER_TYPE => Ok(layer),
        Ok([layer]) => {
            let found = layer.media_type.escape_debug();
            Err(refused(format!(
                "its layer is `{found}`, not `{LAYER_TYPE}`"
            )))
        }
        Err(layers) => Err(refused(format!("it has {} layers, not one", layers.len()))),
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaType {
    media_type: Option<String>,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes).map_err(|error| RegistryError::Malformed {
        what: what.to_owned(),
        problem: error.to_string(),
    })
}

impl Session<'_> {
    async fn blob(
        &mut self,
        descriptor: &Descriptor,
        bound: usize,
        what: &str,
    ) -> Result<Vec<u8>, RegistryError> {
        // No more than was announced is read, and no more is announced than is allowed.
        let size = usize::try_from(descriptor.size).ok();
        let size = size.filter(|size| *size <= bound);
        let size = size.ok_or_else(|| RegistryError::TooLarge {
            what: what.to_owned(),
            bound,
        })?;
        let url = self.url(&format!("blobs/{}", descriptor.digest));
        let request = self.request(Method::GET, url);
        let response = self.send(request, what, &[StatusCode::OK]).await?;
        let bytes = body::read(response, size, &self.host(), what).await?;
        checked(bytes, descriptor.digest, what)
    }

    async fn bundles(&mut self, subject: Digest) -> Result<Vec<Vec<u8>>, RegistryError> {
        let listed = self.referrers(subject).await?;
        let skipped = listed.len().saturating_sub(MAX_BUNDLES);
        let mut bundles = Vec::new();
        for entry in listed.into_iter().skip(skipped) {
            bundles.push(self.bundle(subject, entry.digest).await?);
        }
        Ok(bundles)
    }

    /// From the referrers API, or where an older registry has the same.
    async fn referrers(&mut self, subject: Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let what = self.what(format_args!("the referrers of {subject}"));
        // A filter, which a registry may ignore.
        let kind = utf8_percent_encode(BUNDLE_TYPE, NON_ALPHANUMERIC);
        let url = self.url(&format!("referrers/{subject}?artifactType={kind}"));
        let index = match self.document(&url, &what).await {
            Err(RegistryError::NotFound { .. }) => self.manifest(&fallback_tag(subject)).await,
            answer => answer,
        };
        let bytes = match index {
            Err(RegistryError::NotFound { .. }) => return Ok(Vec::new()),
            answer => answer?,
        };
        let index = parse::<ImageIndex>(&bytes, &what)?;
        let ours = |entry: &Descriptor| entry.artifact_type.as_deref() == Some(BUNDLE_TYPE);
        Ok(index.descriptors().filter(ours).collect())
    }

    async fn bundle(&mut self, subject: Digest, digest: Digest) -> Result<Vec<u8>, RegistryError> {
        let what = self.what(format_args!("the bundle's manifest {digest}"));
        let bytes = checked(self.manifest(&digest.to_string()).await?, digest, &what)?;
        let manifest = parse::<ImageManifest>(&bytes, &what)?;
        let malformed = |problem: &str| RegistryError::Malformed {
            what: what.clone(),
            problem: problem.to_owned(),
        };
        if manifest.subject.is_none_or(|found| found.digest != subject) {
            return Err(malformed("it is attached to another artifact"));
        }
        match <[Descriptor; 1]>::try_from(manifest.layers) {
            Ok([layer]) if layer.media_type == BUNDLE_TYPE => {
                let what = self.what(format_args!("the bundle {}", layer.digest));
                self.blob(&layer, MAX_DOCUMENT_BYTES, &what).await
            }
            _ => Err(malformed("it does not hold exactly one bundle")),
        }
    }
}
