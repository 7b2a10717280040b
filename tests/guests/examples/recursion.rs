//! Calls itself until the stack ends.

use std::hint::black_box;

use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    Ok(structured(deeper(0).to_string()))
}

#[expect(unconditional_recursion, reason = "it is the guest's purpose")]
fn deeper(depth: u64) -> u64 {
    // Used after the call, so that no compiler makes a loop of it; `black_box` of a value keeps
    // the shadow stack out of it, so that the host's own stack is what ends.
    black_box(deeper(black_box(depth) + 1)) ^ depth
}
