//! The smallest capsule: one tool, ten lines.

use soma_sdk::{Error, tool};

/// Greets somebody by name.
#[tool(read_only, idempotent)]
fn hello(name: String) -> Result<String, Error> {
    Ok(format!("Hello, {name}!"))
}

soma_sdk::capsule![hello];

#[test]
fn greets_by_name() {
    assert_eq!(hello("Ada".into()), Ok("Hello, Ada!".into()));
}
