//! Passes `bytes` bytes to the host, again and again without end: by `progress`, which waits for
//! nothing.

use soma_guests::soma::capsule::progress::report;
use soma_guests::{Output, ToolError, number, parse};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let message = "c".repeat(number(&parse(&input), "bytes") as usize);
    loop {
        report(0.0, None, Some(&message));
    }
}
