//! The image manifest and the config of a capsule, derived from its file alone.

use crate::package::Package;

use super::blob::{Blob, Descriptor};
use super::config::WasmConfig;
use super::manifest::ImageManifest;
use super::{CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, annotations};

/// A capsule as a registry keeps it. The same package gives the same bytes, on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What the component needs and offers.
    pub config: Blob,
    /// The capsule file; its digest is the package's.
    pub layer: Descriptor,
    /// Holds the two together; its digest is the artifact's.
    pub manifest: Blob,
}

impl Artifact {
    /// Derives the artifact.
    pub fn of(package: &Package) -> Result<Self, serde_json::Error> {
        let config = Blob::document(CONFIG_TYPE, &WasmConfig::of(package))?;
        let mut layer = Descriptor::new(LAYER_TYPE, package.digest(), package.bytes().len());
        let file = format!("{}.wasm", package.manifest().name.name());
        layer.annotations = annotations::file(&file);
        let mut manifest = ImageManifest::new(config.descriptor(), layer.clone());
        manifest.annotations = annotations::of(package.manifest());
        Ok(Self {
            manifest: Blob::document(MANIFEST_TYPE, &manifest)?,
            config,
            layer,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use wasm_encoder::{Component, ComponentExportKind, ComponentExportSection};

    use super::*;
    use crate::manifest::Manifest;

    /// A component that exports a component, which looks like a capsule from outside.
    pub(in crate::oci) fn package() -> Package {
        let mut exports = ComponentExportSection::new();
        let kind = ComponentExportKind::Component;
        exports.export("soma:capsule/tools@0.1.0", kind, 0, None);
        let mut component = Component::new();
        component.section(&wasm_encoder::NestedComponentSection(&Component::new()));
        component.section(&exports);
        let toml = "name = 'local/hello'\nversion = '1.0.0'\ndescription = 'Says hello.'";
        let manifest = Manifest::from_toml(toml).unwrap();
        let tool = r#"{"name": "greet", "description": "Greets.", "inputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": true, "destructiveHint": false,
                            "idempotentHint": true, "openWorldHint": false}}"#;
        let tools = vec![serde_json::from_str(tool).unwrap()];
        Package::pack(&component.finish(), manifest, tools).unwrap()
    }

    #[test]
    fn is_the_same_bytes_every_time() {
        let package = package();
        let artifact = Artifact::of(&package).unwrap();
        assert_eq!(artifact, Artifact::of(&package).unwrap());
        assert_eq!(artifact.layer.digest, package.digest());
        let text = |blob: &Blob| String::from_utf8(blob.bytes.clone()).unwrap();
        assert_eq!(
            text(&artifact.config),
            concat!(
                r#"{"architecture":"wasm","component":{"exports":["soma:capsule/tools@0.1.0"],"#,
                r#""imports":[],"target":"soma:capsule/capsule@0.1.0"},"#,
                r#""created":"1970-01-01T00:00:00Z","layerDigests":["LAYER"],"os":"wasip2"}"#,
            )
            .replace("LAYER", &package.digest().to_string())
        );
        assert_eq!(
            text(&artifact.manifest),
            concat!(
                r#"{"annotations":{"org.opencontainers.image.description":"Says hello.","#,
                r#""org.opencontainers.image.title":"local/hello","#,
                r#""org.opencontainers.image.version":"1.0.0"},"#,
                r#""config":{"digest":"CONFIG","mediaType":"application/vnd.wasm.config.v0+json","size":CSIZE},"#,
                r#""layers":[{"annotations":{"org.opencontainers.image.title":"hello.wasm"},"#,
                r#""digest":"LAYER","mediaType":"application/wasm","size":LSIZE}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#,
            )
            .replace("CONFIG", &artifact.config.digest.to_string())
            .replace("CSIZE", &artifact.config.bytes.len().to_string())
            .replace("LAYER", &package.digest().to_string())
            .replace("LSIZE", &package.bytes().len().to_string())
        );
        // Another digest here means that published artifacts would get other names.
        assert_eq!(
            artifact.manifest.digest.to_string(),
            "sha256:46afad9ba0ff03ad6f6ada9271871f8607414589c76755385d575ccf03e0d6e6"
        );
    }
}
