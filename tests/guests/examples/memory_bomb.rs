//! Takes and touches memory until it gets no more.

use std::hint::black_box;

use soma_guests::{Output, ToolError};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        black_box(&hoard);
    }
}
