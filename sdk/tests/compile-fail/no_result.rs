use soma_sdk::tool;

/// Greets.
#[tool]
fn hello() -> String {
    "Hello".into()
}

/// Does something.
#[tool]
fn work() {}

fn main() {}
