//! Panics with a message that looks like something from the host.

use soma_guests::{Output, ToolError};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    panic!("/home/operator/.local/share/soma/keys/admin.key: no such file");
}
