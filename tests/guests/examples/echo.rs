//! Gives its input back. The benchmarks call it too, so it does nothing else.

use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    Ok(structured(input))
}
