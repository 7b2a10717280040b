//! Walks a component's sections without trusting any of them: where its custom sections are, what
//! it imports, and what it exports.

use wasmparser::{Parser, Payload};

use crate::package::SECTION;

/// What the outline of a component says.
#[derive(Debug, Default)]
pub(crate) struct Outline<'a> {
    /// The manifest section's content.
    pub(crate) section: Option<&'a [u8]>,
    /// Names of the component's own imports, in its order.
    pub(crate) imports: Vec<String>,
    /// Names of the component's own exports, in its order.
    pub(crate) exports: Vec<String>,
}

/// Bytes that are not one whole component with at most one manifest section.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Another kind of file.
    #[error("this is not a WebAssembly file: it does not begin with `\\0asm`")]
    NotWasm,
    /// A core module.
    #[error(
        "this is a core module, not a component; build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// WebAssembly of a version that is not known.
    #[error(
        "this is WebAssembly of an unknown version or layer; a component begins with version 13, layer 1"
    )]
    Version,
    /// The file ends in the middle.
    #[error(
        "the file is cut off: {bytes} bytes are there, and the section at byte {offset} goes on past them"
    )]
    Truncated {
        /// How long the file is.
        bytes: usize,
        /// Where reading stopped.
        offset: usize,
    },
    /// The sections do not make sense.
    #[error("the file is damaged at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// The parser's words.
        problem: String,
    },
    /// More than one manifest section.
    #[error("the file has more than one `{SECTION}` section")]
    Duplicate,
    /// A manifest section in a module or component inside.
    #[error(
        "a module or component inside the file has a `{SECTION}` section; only the outermost component may have one"
    )]
    Nested,
}

/// Reads the outline of a component.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, ScanError> {
    if !bytes.starts_with(b"\0asm") {
        return Err(ScanError::NotWasm);
    }
    if Parser::is_core_wasm(bytes) {
        return Err(ScanError::CoreModule);
    }
    if bytes.len() >= 8 && !Parser::is_component(bytes) {
        return Err(ScanError::Version);
    }
    let malformed = |error: wasmparser::Error| ScanError::malformed(bytes, &error);
    let mut outline = Outline::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(custom) if custom.name() == SECTION => {
                if depth > 0 {
                    return Err(ScanError::Nested);
                }
                if outline.section.replace(custom.data()).is_some() {
                    return Err(ScanError::Duplicate);
                }
            }
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import.map_err(malformed)?.name;
                    outline.imports.push(name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    let name = export.map_err(malformed)?.name;
                    outline.exports.push(name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

impl ScanError {
    fn malformed(bytes: &[u8], error: &wasmparser::Error) -> Self {
        let offset = error.offset();
        if error.message().starts_with("unexpected end") {
            return Self::Truncated {
                bytes: bytes.len(),
                offset,
            };
        }
        Self::Malformed {
            offset,
            problem: error.message().to_owned(),
        }
    }
}
