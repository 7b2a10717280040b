//! Starts `exchanges` requests by `http-stream` and writes a chunk of `bytes` bytes to each,
//! whether the peers read them or not.

use soma_guests::soma::capsule::http_stream::{RequestHead, start};
use soma_guests::{Output, ToolError, number, parse, structured, text};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let chunk = vec![b'b'; number(&input, "bytes") as usize];
    let mut hoard = Vec::new();
    for _ in 0..number(&input, "exchanges") {
        let exchange = start(&RequestHead {
            method: "POST".to_owned(),
            url: text(&input, "url").to_owned(),
            headers: Vec::new(),
            timeout_ms: None,
        });
        let exchange = exchange.map_err(|error| ToolError::Failed(format!("{error:?}")))?;
        exchange
            .write(&chunk)
            .map_err(|error| ToolError::Failed(format!("{error:?}")))?;
        hoard.push(exchange);
    }
    Ok(structured("null"))
}
