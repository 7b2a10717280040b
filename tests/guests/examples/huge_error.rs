//! Fails with a message of `bytes` bytes.

use soma_guests::{Output, ToolError, number, parse};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    Err(ToolError::Failed(
        "e".repeat(number(&parse(&input), "bytes") as usize),
    ))
}
