//! Made with the SDK: gives links away.

use std::time::Duration;

use soma_sdk::{Error, links, tool};

/// A link to this, good for so long.
#[tool]
fn run(method: String, url: String, seconds: u64) -> Result<String, Error> {
    Ok(links::presign(&method, &url, Duration::from_secs(seconds))?)
}

soma_sdk::capsule![run];
