//! What a capsule file says about itself, made ready for calls.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use soma_capability::{CapsuleName, Digest, Tool};
use soma_registry::{Manifest, Package, Schema};
use soma_runtime::Capsule;
use tokio::sync::OnceCell;

use crate::db::capsules::{Installation, Logged};
use crate::error::Error;
use crate::metrics::{Metrics, ToolMetrics};

/// One capsule file, by its digest: the same for every tenant.
pub(crate) struct Described {
    pub(crate) digest: Digest,
    pub(crate) manifest: Manifest,
    pub(crate) imports: Vec<String>,
    pub(crate) tools: Vec<Arc<ReadyTool>>,
    /// Filled by the first call. Whoever holds this can call, even after an uninstallation.
    pub(super) code: OnceCell<Arc<Capsule>>,
}

/// One tool, ready to be called.
pub(crate) struct ReadyTool {
    pub(crate) tool: Tool,
    /// Its name, as the records of its calls share it.
    pub(crate) name: Arc<str>,
    pub(crate) schema: Arc<Schema>,
    capsule: CapsuleName,
    metrics: Arc<Metrics>,
    /// Made by the first call: a capsule that is refused, or never called, has none.
    counters: OnceLock<ToolMetrics>,
}

impl ReadyTool {
    /// This tool's metrics.
    pub(crate) fn metrics(&self) -> &ToolMetrics {
        let make = || self.metrics.of_tool(&self.capsule, &self.tool);
        self.counters.get_or_init(make)
    }
}

impl Described {
    pub(super) fn new(package: &Package, metrics: &Arc<Metrics>) -> Self {
        let manifest = package.manifest().clone();
        let tools = package.tools().iter().zip(package.input_schemas());
        let ready = |(tool, schema): (&Tool, &Arc<Schema>)| {
            Arc::new(ReadyTool {
                tool: tool.clone(),
                name: tool.name.as_str().into(),
                schema: schema.clone(),
                capsule: manifest.name.clone(),
                metrics: metrics.clone(),
                counters: OnceLock::new(),
            })
        };
        Self {
            digest: package.digest(),
            tools: tools.map(ready).collect(),
            imports: package.imports().to_vec(),
            manifest,
            code: OnceCell::new(),
        }
    }

    /// This file, whose bytes these are, as it would be installed now.
    pub(crate) fn row(&self, bytes: &[u8], logged: Option<Logged>) -> Installation {
        Installation {
            name: self.manifest.name.clone(),
            digest: self.digest,
            size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            installed_at: Timestamp::now(),
            logged,
        }
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Result<&Arc<ReadyTool>, Error> {
        let found = self.tools.iter().find(|ready| ready.tool.name == name);
        found.ok_or_else(|| {
            let has: Vec<&str> = self
                .tools
                .iter()
                .map(|own| own.tool.name.as_str())
                .collect();
            Error::UnknownTool {
                capsule: self.manifest.name.clone(),
                tool: name.to_owned(),
                has: has.join(", "),
            }
        })
    }
}
