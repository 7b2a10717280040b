//! What a capsule file is: a WebAssembly component whose custom section `soma:capsule` holds its
//! [`Manifest`] and its tools. A [`Package`] is one such file, read and checked.

mod manifest;
mod package;
mod scan;
mod schema;
mod text;
mod tools;

pub use manifest::{Location, Manifest, ManifestError};
pub use package::{
    MAX_FILE_BYTES, MAX_SECTION_BYTES, Package, PackageError, SECTION, check_component,
};
pub use scan::ScanError;
pub use schema::{MAX_COST, MAX_PATTERNS, Schema, SchemaError};
pub use text::{CharacterKind, TextError};
pub use tools::{MAX_TOOLS, SchemaKind, ToolsError};
