//! The two documents of the OCI image specification, 1.1: what belongs together, and lists of that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blob::Descriptor;
use super::{INDEX_TYPE, MANIFEST_TYPE};

const SCHEMA_VERSION: u8 = 2;

/// One artifact: a config and layers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageManifest {
    pub(super) schema_version: u8,
    // Older writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) artifact_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// A list of manifests. Entries are kept as they are, since others' may have fields or digests that
/// we do not know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageIndex {
    pub(super) schema_version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) manifests: Vec<Value>,
}

impl ImageManifest {
    pub(super) fn new(config: Descriptor, layer: Descriptor) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            media_type: Some(MANIFEST_TYPE.to_owned()),
            artifact_type: None,
            config,
            layers: vec![layer],
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl ImageIndex {
    pub(super) fn new(manifests: Vec<Value>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            media_type: Some(INDEX_TYPE.to_owned()),
            manifests,
        }
    }

    /// The entries that can be understood.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        let entries = self.manifests.iter();
        entries.filter_map(|entry| Descriptor::deserialize(entry).ok())
    }
}
