use soma_sdk::{Error, tool};

/// Adds.
#[tool]
fn add((a, b): (i64, i64)) -> Result<i64, Error> {
    Ok(a + b)
}

fn main() {}
