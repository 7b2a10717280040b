//! Bytes in a registry, and the descriptor by which manifests speak of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soma_capability::Digest;

/// Content with its media type, named by its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Such as `application/wasm`.
    pub media_type: &'static str,
    /// Of the bytes.
    pub digest: Digest,
    /// The content.
    pub bytes: Vec<u8>,
}

/// What a manifest says of content: type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Such as `application/wasm`.
    pub media_type: String,
    /// Of the content.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What kind of artifact it is, where the content is a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Such as the name of the file to make of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Blob {
    /// These bytes.
    pub fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: Digest::of(&bytes),
            bytes,
        }
    }

    /// A document in its one form, RFC 8785.
    pub(super) fn document<T: Serialize>(
        media_type: &'static str,
        document: &T,
    ) -> Result<Self, serde_json::Error> {
        let bytes = serde_json_canonicalizer::to_vec(document)?;
        Ok(Self::new(media_type, bytes))
    }

    /// How manifests speak of it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type, self.digest, self.bytes.len())
    }
}

impl Descriptor {
    pub(super) fn new(media_type: &str, digest: Digest, size: usize) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            // usize has at most 64 bits wherever this builds.
            size: size as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }
}
