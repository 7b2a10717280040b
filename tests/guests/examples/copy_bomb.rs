//! Passes `bytes` bytes to the host in one call.

use soma_guests::soma::capsule::log::{Level, write};
use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let message = "c".repeat(number(&parse(&input), "bytes") as usize);
    write(Level::Info, "copy", &message);
    Ok(structured("null"))
}
