//! `describe` traps.

use soma_guests::{Guest, Output, Tool, ToolError};

struct Component;

impl Guest for Component {
    fn describe() -> Vec<Tool> {
        std::process::abort()
    }

    fn call(_tool: String, _input: String) -> Result<Output, ToolError> {
        std::process::abort()
    }
}

soma_guests::export!(Component);
