use soma_sdk::{Error, tool};

/// Greets.
#[tool]
fn hello(name: &str, others: Vec<&'static str>) -> Result<String, Error> {
    Ok(format!("{name} {others:?}"))
}

fn main() {}
