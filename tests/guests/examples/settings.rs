//! Made with the SDK: tells what some settings are.

use std::collections::BTreeMap;

use soma_sdk::{Error, config, tool};

/// The values of these settings; `require` asks for them as what it cannot do without.
#[tool]
fn run(
    keys: Vec<String>,
    require: Option<bool>,
) -> Result<BTreeMap<String, Option<String>>, Error> {
    let value = |key: &String| match require {
        Some(true) => config::require(key).map(Some),
        _ => Ok(config::get(key)),
    };
    keys.iter()
        .map(|key| Ok((key.clone(), value(key)?)))
        .collect()
}

soma_sdk::capsule![run];
