use soma_sdk::{Error, tool};

/// Greets.
#[tool]
struct Hello;

fn unused() -> Result<(), Error> {
    Ok(())
}

fn main() {}
