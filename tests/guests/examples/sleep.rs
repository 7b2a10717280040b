//! Sleeps for an hour in a host call, as any Rust program would: `wasi:clocks` under `std`.

use std::time::Duration;

use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    std::thread::sleep(Duration::from_secs(3600));
    Ok(structured("null"))
}
