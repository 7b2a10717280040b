//! The guests, as components and as capsules.

use std::fs;

use serde_json::json;
use soma_capability::Tool;
use soma_registry::{Manifest, Package};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::paths::{repository, target};

/// A guest's component: compiled from Rust, or made of a core module in text.
pub(crate) fn component(guest: &str) -> Vec<u8> {
    let text = repository().join(format!("tests/guests/wat/{guest}.wat"));
    if text.exists() {
        let module = wat::parse_file(&text).expect("WebAssembly text");
        return from_module(module);
    }
    let compiled = target().join(format!("wasm/wasm32-wasip2/capsule/examples/{guest}.wasm"));
    fs::read(&compiled)
        .unwrap_or_else(|error| panic!("{}: {error}: run `just guests` first", compiled.display()))
}

fn from_module(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_dir(repository().join("wit/0.1.0"))
        .expect("the WIT of the repository");
    let world = resolve
        .select_world(&[package], Some("capsule"))
        .expect("its one world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a module takes a custom section");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .expect("a component of that world")
}

/// The guest as the capsule `tests/NAME`, with the one tool `run` that takes any object.
pub(crate) fn pack_guest(guest: &str) -> Package {
    pack_with(guest, "")
}

/// The same with more lines in its `capsule.toml`.
pub(crate) fn pack_with(guest: &str, lines: &str) -> Package {
    let name = guest.replace('_', "-");
    pack(&component(guest), &format!("tests/{name}"), lines)
}

/// Any component as a capsule of this name.
pub(crate) fn pack(component: &[u8], name: &str, lines: &str) -> Package {
    pack_version(component, name, "1.0.0", lines)
}

/// The same as another version.
pub(crate) fn pack_version(component: &[u8], name: &str, version: &str, lines: &str) -> Package {
    pack_described(component, name, version, lines, "A guest of the tests.")
}

/// The same with another description of its tool.
pub(crate) fn pack_described(
    component: &[u8],
    name: &str,
    version: &str,
    lines: &str,
    description: &str,
) -> Package {
    let manifest = format!(
        "name = \"{name}\"\nversion = \"{version}\"\ndescription = \"A guest of the tests.\"\n{lines}\n"
    );
    let manifest = Manifest::from_toml(&manifest).expect("a manifest");
    Package::pack(component, manifest, vec![run_tool(description)]).expect("a package")
}

fn run_tool(description: &str) -> Tool {
    serde_json::from_value(json!({
        "name": "run",
        "description": description,
        "inputSchema": {"type": "object"},
        "annotations": {
            "readOnlyHint": false,
            "destructiveHint": true,
            "idempotentHint": false,
            "openWorldHint": true,
        },
    }))
    .expect("a tool")
}
