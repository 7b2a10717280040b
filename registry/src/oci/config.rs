//! The config of a WebAssembly artifact: what the component needs and offers, for whoever has not
//! fetched it yet.

use serde::Serialize;
use soma_capability::Digest;

use crate::package::Package;

/// The layout has the time here, and its reference reader (`oci-wasm`) refuses a config without
/// one. The same package must give the same bytes, so it is always the epoch.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// Whoever exports this interface is of the world `soma:capsule/capsule` of the same version.
const TOOLS_INTERFACE: &str = "soma:capsule/tools@";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WasmConfig<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [Digest; 1],
    component: Component<'a>,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    exports: &'a [String],
    imports: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

impl<'a> WasmConfig<'a> {
    pub(super) fn of(package: &'a Package) -> Self {
        Self {
            created: CREATED,
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [package.digest()],
            component: Component {
                exports: package.exports(),
                imports: package.imports(),
                target: target(package.exports()),
            },
        }
    }
}

fn target(exports: &[String]) -> Option<String> {
    let version = exports
        .iter()
        .find_map(|name| name.strip_prefix(TOOLS_INTERFACE))?;
    Some(format!("soma:capsule/capsule@{version}"))
}
