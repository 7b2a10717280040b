use soma_sdk::{Error, tool};

/// Counts.
#[tool]
fn count(things: Vec<impl Clone>) -> Result<usize, Error> {
    Ok(things.len())
}

fn main() {}
