use soma_sdk::{Error, tool};

soma_sdk::capsule![];

/// Greets.
#[tool]
pub fn hello() -> Result<String, Error> {
    Ok("Hello".into())
}

fn main() {}
