use soma_sdk::{Error, tool};

/// Greets.
#[tool(read_only, destructive)]
fn hello() -> Result<String, Error> {
    Ok("Hello".into())
}

fn main() {}
