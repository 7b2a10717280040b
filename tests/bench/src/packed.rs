//! The capsules that are called over HTTP: guests of the tests, packed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use soma_registry::{Manifest, Package};

use crate::paths;

/// Where the echo tool is called.
pub(crate) const ECHO: &str = "/v1/capsules/bench/echo/tools/run";
/// Where the sleeping one is.
pub(crate) const SLEEP: &str = "/v1/capsules/bench/sleep/tools/run";

/// The echo tool, which asks for what these lines of its manifest say.
pub(crate) fn echo(folder: &Path, asks: &str) -> anyhow::Result<PathBuf> {
    let schema = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "minLength": 1},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
            "fields": {"type": "array", "items": {"type": "string"}},
            "page": {"type": "object", "required": ["size"]},
            "dry_run": {"type": "boolean"}
        },
        "required": ["query"],
        "additionalProperties": false
    });
    pack(folder, "echo", "Gives its input back.", asks, &schema)
}

/// One that sleeps for as many milliseconds as its input says, and asks for nothing.
pub(crate) fn sleep(folder: &Path) -> anyhow::Result<PathBuf> {
    let schema = json!({
        "type": "object",
        "properties": {"ms": {"type": "integer", "minimum": 1, "maximum": 1000}},
        "required": ["ms"]
    });
    pack(folder, "sleep", "Sleeps for a while.", "", &schema)
}

fn pack(
    folder: &Path,
    guest: &str,
    description: &str,
    asks: &str,
    schema: &Value,
) -> anyhow::Result<PathBuf> {
    let manifest = Manifest::from_toml(&format!(
        "name = \"bench/{guest}\"\nversion = \"0.1.0\"\ndescription = \"{description}\"\n{asks}",
    ))?;
    let tool = serde_json::from_value(json!({
        "name": "run",
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false
        }
    }))?;
    let package = Package::pack(&paths::guest(guest)?, manifest, vec![tool])?;
    let path = folder.join(format!("{guest}.wasm"));
    std::fs::write(&path, package.bytes())?;
    Ok(path)
}
