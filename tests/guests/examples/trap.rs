//! Executes `unreachable`.

use soma_guests::{Output, ToolError};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    std::process::abort()
}
