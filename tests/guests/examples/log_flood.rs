//! Writes `lines` log lines of `bytes` bytes, then answers as if nothing were.

use soma_guests::soma::capsule::log::{Level, write};
use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let message = "l".repeat(number(&input, "bytes") as usize);
    for _ in 0..number(&input, "lines") {
        write(Level::Info, "flood", &message);
    }
    Ok(structured("null"))
}
