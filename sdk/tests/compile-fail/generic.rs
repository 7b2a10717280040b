use soma_sdk::{Error, tool};

/// Counts.
#[tool]
fn count<T>(things: Vec<T>) -> Result<usize, Error> {
    Ok(things.len())
}

fn main() {}
