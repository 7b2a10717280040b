//! Calls the host without end.

use std::hint::black_box;

use soma_guests::soma::capsule::clock;
use soma_guests::{Output, ToolError};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    loop {
        black_box(clock::now());
    }
}
