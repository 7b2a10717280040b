//! Sleeps in a host call, for `ms` milliseconds or else for an hour, as any Rust program would:
//! `wasi:clocks` under `std`.

use std::time::Duration;

use soma_guests::{Output, ToolError, parse, structured};

soma_guests::tool!(run);

const HOUR: Duration = Duration::from_secs(3600);

fn run(input: String) -> Result<Output, ToolError> {
    let ms = parse(&input)["ms"].as_u64();
    std::thread::sleep(ms.map_or(HOUR, Duration::from_millis));
    Ok(structured("null"))
}
