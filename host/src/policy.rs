//! What one call may use and reach: the host's defaults, what the manifest asks, what the
//! operator allows.

use soma_capability::Limits;
use soma_registry::Manifest;

use crate::settings::Live;

/// The manifest's wishes over the host's defaults, nothing above the host's maximum.
pub(crate) fn limits(live: &Live, manifest: &Manifest) -> Limits {
    live.default_limits
        .asked(&manifest.limits, &live.maximum_limits)
}
