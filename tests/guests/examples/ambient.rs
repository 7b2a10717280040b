//! Looks, with plain `std`, for anything the host left within reach: environment, arguments,
//! files, standard input, the network.

use std::io::Read;
use std::net::TcpStream;

use serde_json::json;
use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    let mut stdin = String::new();
    // Reading may fail or end at once: either way nothing was there.
    let _nothing = std::io::stdin().read_to_string(&mut stdin);
    Ok(structured(
        json!({
            "environment": std::env::vars().count(),
            "arguments": std::env::args().count(),
            "stdin": stdin,
            "files": std::fs::read_dir("/").is_ok() || std::fs::read("/etc/passwd").is_ok(),
            "network": TcpStream::connect("127.0.0.1:5432").is_ok(),
        })
        .to_string(),
    ))
}
