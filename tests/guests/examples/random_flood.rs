//! Asks for `bytes` random bytes at once.

use soma_guests::soma::capsule::random;
use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let bytes = random::bytes(number(&parse(&input), "bytes") as u32);
    Ok(structured(bytes.len().to_string()))
}
