use soma_sdk::{Error, tool};

/// Greets.
#[tool]
fn hello(#[serde(flatten)] name: std::collections::BTreeMap<String, String>) -> Result<String, Error> {
    Ok(format!("{name:?}"))
}

fn main() {}
