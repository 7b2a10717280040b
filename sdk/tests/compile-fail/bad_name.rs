use soma_sdk::{Error, tool};

/// Greets.
#[tool(name = "say hello")]
fn hello() -> Result<String, Error> {
    Ok("Hello".into())
}

fn main() {}
