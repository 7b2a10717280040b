use soma_sdk::{Error, tool};

/// Waits.
#[tool]
async fn wait() -> Result<(), Error> {
    Ok(())
}

fn main() {}
