//! Keeps WASI pollables alive, more and more of them.

use soma_guests::{Output, ToolError};
use wasip2::clocks::monotonic_clock::subscribe_duration;

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(subscribe_duration(u64::MAX));
    }
}
