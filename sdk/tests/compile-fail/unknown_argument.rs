use soma_sdk::{Error, tool};

/// Greets.
#[tool(readonly)]
fn hello() -> Result<String, Error> {
    Ok("Hello".into())
}

fn main() {}
