//! The bundle, attached to the artifact that it vouches for, and the lists by which it is found.

use serde_json::Value;
use soma_capability::Digest;

use super::artifact::Artifact;
use super::blob::{Blob, Descriptor};
use super::manifest::{ImageIndex, ImageManifest};
use super::{BUNDLE_TYPE, EMPTY_TYPE, INDEX_TYPE, MANIFEST_TYPE, annotations};

/// A manifest of its own that names the artifact as its subject. It can be made, and made again,
/// after the artifact was published, without changing the artifact's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Referrer {
    /// `{}`: the specification wants a config.
    pub config: Blob,
    /// The bundle, whose content is no matter here.
    pub bundle: Blob,
    /// Holds them and the subject together.
    pub manifest: Blob,
}

impl Referrer {
    /// Attaches a bundle.
    pub fn of(artifact: &Artifact, bundle: &[u8]) -> Result<Self, serde_json::Error> {
        let config = Blob::new(EMPTY_TYPE, b"{}".to_vec());
        let bundle = Blob::new(BUNDLE_TYPE, bundle.to_vec());
        let mut layer = bundle.descriptor();
        layer.annotations = annotations::file("bundle.json");
        let mut manifest = ImageManifest::new(config.descriptor(), layer);
        manifest.artifact_type = Some(BUNDLE_TYPE.to_owned());
        manifest.subject = Some(artifact.manifest.descriptor());
        Ok(Self {
            manifest: Blob::document(MANIFEST_TYPE, &manifest)?,
            config,
            bundle,
        })
    }

    /// How [`index`] lists it.
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = self.manifest.descriptor();
        descriptor.artifact_type = Some(BUNDLE_TYPE.to_owned());
        descriptor
    }
}

/// The answer to `GET /v2/…/referrers/…`, and what the fallback tag names.
pub fn index(referrers: &[Descriptor]) -> Result<Blob, serde_json::Error> {
    let manifests = referrers.iter().map(serde_json::to_value);
    let index = ImageIndex::new(manifests.collect::<Result<_, _>>()?);
    Blob::document(INDEX_TYPE, &index)
}

/// Where an older registry, without a referrers API, has the index of a manifest's referrers:
/// `sha256-` and the digest.
pub fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// The index with one more entry, or the same entry anew. Others' entries stay as they are.
pub(super) fn with_entry(
    index: Option<ImageIndex>,
    entry: &Descriptor,
) -> Result<Blob, serde_json::Error> {
    let mut manifests = index.map_or_else(Vec::new, |index| index.manifests);
    let digest = Value::String(entry.digest.to_string());
    manifests.retain(|other| other.get("digest") != Some(&digest));
    manifests.push(serde_json::to_value(entry)?);
    Blob::document(INDEX_TYPE, &ImageIndex::new(manifests))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::artifact::tests::package;
    use super::*;

    fn json(blob: &Blob) -> Value {
        serde_json::from_slice(&blob.bytes).unwrap()
    }

    #[test]
    fn names_its_subject() {
        let artifact = Artifact::of(&package()).unwrap();
        let referrer = Referrer::of(&artifact, b"bundle").unwrap();
        let manifest = json(&referrer.manifest);
        assert_eq!(manifest["artifactType"], BUNDLE_TYPE);
        assert_eq!(
            manifest["subject"],
            serde_json::to_value(artifact.manifest.descriptor()).unwrap()
        );
        assert_eq!(
            manifest["config"],
            // The specification's own example of the empty descriptor.
            json!({
                "mediaType": "application/vnd.oci.empty.v1+json",
                "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                "size": 2,
            })
        );
        assert_eq!(manifest["layers"][0]["size"], 6);
        let listed = json(&index(&[referrer.descriptor()]).unwrap());
        assert_eq!(listed["mediaType"], INDEX_TYPE);
        assert_eq!(listed["manifests"][0]["artifactType"], BUNDLE_TYPE);
    }

    #[test]
    fn leaves_the_entries_of_others_alone() {
        let artifact = Artifact::of(&package()).unwrap();
        let entry = Referrer::of(&artifact, b"bundle").unwrap().descriptor();
        let foreign = json!({"mediaType": "a/b", "digest": "sha512:00", "size": 1, "new": [2]});
        let before = ImageIndex::new(vec![foreign.clone()]);
        let once = with_entry(Some(before), &entry).unwrap();
        let read: ImageIndex = serde_json::from_slice(&once.bytes).unwrap();
        assert!(read.descriptors().eq([entry.clone()]));
        let twice = with_entry(Some(read), &entry).unwrap();
        assert_eq!(once, twice);
        assert_eq!(json(&twice)["manifests"][0], foreign);
        assert_eq!(json(&twice)["manifests"].as_array().unwrap().len(), 2);
    }
}
