//! The sample capsules, end to end: built by `soma build`, installed, called over HTTP.

mod jq;
mod web;

use std::fs;

use soma_registry::Package;

use crate::harness::target;

/// A sample capsule as `just capsules` packed it.
pub(crate) fn sample(name: &str) -> Package {
    let file = target().join(format!("capsules/{name}.wasm"));
    let bytes = fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run `just capsules` first", file.display()));
    Package::read(bytes).expect("a capsule")
}
