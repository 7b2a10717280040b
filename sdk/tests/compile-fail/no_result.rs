use soma_sdk::{Error, tool};

/// Greets.
#[tool]
fn hello() -> String {
    "Hello".into()
}

/// Does something.
#[tool]
fn work() {}

fn main() {}
