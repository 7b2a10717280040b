//! Never ends.

use soma_guests::{Output, ToolError};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    loop {
        std::hint::spin_loop();
    }
}
