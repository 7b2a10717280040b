//! The capsule file: a component whose `soma:capsule` section holds, as one RFC 8785 JSON text,
//! `{"manifest": …, "tools": […]}`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use soma_capability::{Digest, Tool};
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::canonical;
use crate::manifest::Manifest;
use crate::scan::{self, ScanError};
use crate::schema::Schema;
use crate::tools::{self, ToolsError};

/// The name of the custom section that makes a component a capsule.
pub const SECTION: &str = "soma:capsule";
/// The largest capsule file: 64 MiB.
pub const MAX_FILE_BYTES: usize = 64 << 20;
/// The largest manifest section: 1 MiB.
pub const MAX_SECTION_BYTES: usize = 1 << 20;

/// A capsule file, read and checked.
#[derive(Clone, Debug)]
pub struct Package {
    digest: Digest,
    section: Section,
    schemas: Vec<Arc<Schema>>,
    imports: Vec<String>,
    exports: Vec<String>,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    manifest: Manifest,
    tools: Vec<Tool>,
}

/// Bytes that are not a capsule file, or cannot be made one.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("the file has {0} bytes; a capsule may have at most {MAX_FILE_BYTES}")]
    TooLarge(usize),
    /// Not one whole component with at most one manifest section.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// A component, but not a capsule.
    #[error(
        "this component is not a capsule: it has no `{SECTION}` section; `soma build` writes it"
    )]
    NoSection,
    /// Asked to pack what is packed already.
    #[error(
        "this component already has a `{SECTION}` section; pack the component it was made from"
    )]
    Packed,
    /// The manifest section is larger than [`MAX_SECTION_BYTES`].
    #[error("the `{SECTION}` section has {0} bytes; at most {MAX_SECTION_BYTES} are allowed")]
    SectionTooLarge(usize),
    /// The manifest section is not what `soma build` would write.
    #[error("the `{SECTION}` section cannot be read: {0}")]
    Section(#[from] serde_json::Error),
    /// The manifest section says the right things in another form.
    #[error("the `{SECTION}` section is not in its one canonical form (RFC 8785)")]
    NotCanonical,
    /// The tools break a rule.
    #[error(transparent)]
    Tools(#[from] ToolsError),
}

impl Package {
    /// Puts the manifest and the tools into a component.
    pub fn pack(
        component: &[u8],
        manifest: Manifest,
        tools: Vec<Tool>,
    ) -> Result<Self, PackageError> {
        check_component(component)?;
        let json = canonical::write(&Section { manifest, tools })?;
        let mut bytes = component.to_vec();
        CustomSection {
            name: SECTION.into(),
            data: json.into(),
        }
        .append_to_component(&mut bytes);
        // Reading back is the proof that every host will read the same.
        Self::read(bytes)
    }

    /// Reads a capsule file. Nothing in it is trusted, and the component itself is not validated:
    /// that is the compiler's part.
    pub fn read(bytes: Vec<u8>) -> Result<Self, PackageError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(PackageError::TooLarge(bytes.len()));
        }
        let outline = scan::outline(&bytes)?;
        let text = outline.section.ok_or(PackageError::NoSection)?;
        if text.len() > MAX_SECTION_BYTES {
            return Err(PackageError::SectionTooLarge(text.len()));
        }
        let section: Section = serde_json::from_slice(text)?;
        if canonical::write(&section)? != text {
            return Err(PackageError::NotCanonical);
        }
        let schemas = tools::check(&section.tools)?;
        let (imports, exports) = (outline.imports, outline.exports);
        Ok(Self {
            digest: Digest::of(&bytes),
            section,
            schemas,
            imports,
            exports,
            bytes,
        })
    }

    /// The sha256 of the whole file: the capsule's identity.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What its author wrote in `capsule.toml`.
    pub fn manifest(&self) -> &Manifest {
        &self.section.manifest
    }

    /// Its tools, as they described themselves when it was built.
    pub fn tools(&self) -> &[Tool] {
        &self.section.tools
    }

    /// Whether these tools, as `describe` answered them, are the ones in the file.
    pub fn describes(&self, tools: &[Tool]) -> bool {
        // In RFC 8785's form: the file has 1 where the component says 1.0.
        match (canonical::write(&self.tools()), canonical::write(&tools)) {
            (Ok(file), Ok(answer)) => file == answer,
            _ => false,
        }
    }

    /// The tools' input schemas, compiled, in the order of [`Package::tools`].
    pub fn input_schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// The names of what the component imports, such as `soma:capsule/http@0.1.0`, as the file
    /// spells them: not checked to be fit for a terminal.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The names of what the component exports, such as `soma:capsule/tools@0.1.0`; no more
    /// checked than [`Package::imports`].
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// The file's bytes, which are also a component.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's bytes, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether these bytes could be packed: one whole component without a manifest section.
pub fn check_component(component: &[u8]) -> Result<(), PackageError> {
    match scan::outline(component)?.section {
        Some(_) => Err(PackageError::Packed),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use soma_capability::Annotations;
    use wasm_encoder::{Component, Module, ModuleSection, NestedComponentSection};

    use super::*;

    fn manifest() -> Manifest {
        Manifest::from_toml("name = 'local/hello'\nversion = '1.0.0'\ndescription = 'Says hello.'")
            .unwrap()
    }

    fn tools() -> Vec<Tool> {
        vec![Tool {
            name: "greet".to_owned(),
            title: None,
            description: "Greets.".to_owned(),
            input_schema: json!({"type": "object", "properties": {"n": {"minimum": 1.0}}}),
            output_schema: None,
            annotations: Annotations::default(),
        }]
    }

    fn section(text: &str) -> CustomSection<'_> {
        CustomSection {
            name: SECTION.into(),
            data: text.as_bytes().into(),
        }
    }

    /// A component with a module inside, which has `inner` as its custom section.
    fn component(inner: &CustomSection<'_>) -> Component {
        let mut module = Module::new();
        module.section(inner);
        let mut component = Component::new();
        component.section(&ModuleSection(&module));
        component
    }

    fn harmless() -> Vec<u8> {
        component(&CustomSection {
            name: "name".into(),
            data: (&[]).into(),
        })
        .finish()
    }

    fn refusal(bytes: Vec<u8>) -> String {
        Package::read(bytes).unwrap_err().to_string()
    }

    fn with_section(text: &str) -> Vec<u8> {
        let mut bytes = harmless();
        section(text).append_to_component(&mut bytes);
        bytes
    }

    #[test]
    fn packs_what_it_reads() {
        let packed = Package::pack(&harmless(), manifest(), tools()).unwrap();
        let read = Package::read(packed.bytes().to_vec()).unwrap();
        assert_eq!(read.manifest(), &manifest());
        assert_eq!(read.digest(), Digest::of(packed.bytes()));
        // RFC 8785 writes 1.0 as 1: what pack gives back is what the file says.
        assert_eq!(packed.tools(), read.tools());
        assert_eq!(
            packed.tools()[0].input_schema["properties"]["n"]["minimum"],
            json!(1)
        );
        let again = Package::pack(packed.bytes(), manifest(), tools());
        assert!(matches!(again, Err(PackageError::Packed)));
    }

    #[test]
    fn refuses_other_files() {
        let packed = Package::pack(&harmless(), manifest(), tools()).unwrap();
        for (bytes, part) in [
            (Vec::new(), "not a WebAssembly file"),
            (b"#!/bin/sh".to_vec(), "not a WebAssembly file"),
            (b"\0asm".to_vec(), "cut off"),
            (b"\0asm\x0a\0\x01\0".to_vec(), "unknown version"),
            (Module::new().finish(), "core module, not a component"),
            (harmless(), "no `soma:capsule` section"),
            (
                packed.bytes()[..packed.bytes().len() - 1].to_vec(),
                "cut off",
            ),
            (
                [packed.bytes(), b"\xff\0".as_slice()].concat(),
                "damaged at byte",
            ),
            (vec![0; MAX_FILE_BYTES + 1], "at most 67108864"),
        ] {
            let message = refusal(bytes);
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn refuses_sections_twice_or_inside() {
        let text = canonical::write(&Section {
            manifest: manifest(),
            tools: tools(),
        })
        .unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut twice = with_section(&text);
        section(&text).append_to_component(&mut twice);
        assert!(refusal(twice).contains("more than one"));

        let inside = component(&section(&text));
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inside));
        for mut bytes in [inside.finish(), outer.finish()] {
            let message = refusal(bytes.clone());
            assert!(message.contains("inside the file"), "{message}");
            section(&text).append_to_component(&mut bytes);
            assert!(refusal(bytes).contains("inside the file"));
        }
    }

    #[test]
    fn refuses_every_other_form_of_the_section() {
        let text = canonical::write(&Section {
            manifest: manifest(),
            tools: tools(),
        })
        .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(Package::read(with_section(&text)).is_ok());
        let huge = format!("{text}{}", " ".repeat(MAX_SECTION_BYTES));
        for (changed, part) in [
            (format!(" {text}"), "canonical"),
            (
                text.replace("\"minimum\":1", "\"minimum\":1.0"),
                "canonical",
            ),
            (
                text.replace("\"minimum\":1", "\"minimum\":2,\"minimum\":1"),
                "canonical",
            ),
            (text.replace("greet", "gre\\u0065t"), "canonical"),
            (text.replace("Greets.", "\\u202e"), "canonical"),
            (
                text.replace("Greets.", "\u{202e}"),
                "bidirectional character U+202E",
            ),
            (
                text.replace("Says hello.", "\u{9b}"),
                "control character U+009B",
            ),
            (
                text.replace("\"manifest\"", "\"mainfest\""),
                "unknown field `mainfest`",
            ),
            (text.replace("1.0.0", "one"), "not a version"),
            ("[]".to_owned(), "cannot be read"),
            ("[".repeat(100_000), "cannot be read"),
            (String::new(), "cannot be read"),
            (huge, "at most 1048576"),
        ] {
            let message = refusal(with_section(&changed));
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn any_bytes_are_an_answer_not_a_panic() {
        let good = Package::pack(&harmless(), manifest(), tools())
            .unwrap()
            .into_bytes();
        for end in 0..good.len() {
            assert!(
                Package::read(good[..end].to_vec()).is_err(),
                "{end} of {}",
                good.len()
            );
        }
        // xorshift64: the same flips on every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..=random() % 4 {
                let at = random() % bytes.len();
                bytes[at] ^= 1 << (random() % 8);
            }
            let digest = Digest::of(&bytes);
            if let Ok(package) = Package::read(bytes) {
                assert_eq!(package.digest(), digest);
            }
        }
    }
}
