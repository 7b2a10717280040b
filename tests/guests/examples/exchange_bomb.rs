//! Keeps exchanges of `soma:capsule/http-stream` alive, more and more of them.

use soma_guests::soma::capsule::http_stream::{RequestHead, start};
use soma_guests::{Output, ToolError, parse, text};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let mut hoard = Vec::new();
    loop {
        let exchange = start(&RequestHead {
            method: "GET".to_owned(),
            url: text(&input, "url").to_owned(),
            headers: Vec::new(),
            timeout_ms: None,
        });
        match exchange {
            Ok(exchange) => hoard.push(exchange),
            Err(error) => {
                return Err(ToolError::Failed(format!("{}: {error:?}", hoard.len())));
            }
        }
    }
}
