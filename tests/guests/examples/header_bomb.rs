//! One request with `fields` header fields, whose names and values have `bytes` bytes each, by
//! `http`, or by `http-stream` where `stream` is true. Tells the error.

use soma_guests::soma::capsule::http::{Header, Request, send};
use soma_guests::soma::capsule::http_stream::{RequestHead, start};
use soma_guests::{Output, ToolError, number, parse, structured, text};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let padding = "x".repeat(number(&input, "bytes") as usize);
    let headers: Vec<Header> = (0..number(&input, "fields"))
        .map(|n| Header {
            name: format!("{padding}{n}"),
            value: padding.clone(),
        })
        .collect();
    let (method, url) = ("GET".to_owned(), text(&input, "url").to_owned());
    let refused = if input["stream"] == true {
        start(&RequestHead {
            method,
            url,
            headers,
            timeout_ms: None,
        })
        .err()
    } else {
        send(&Request {
            method,
            url,
            headers,
            body: Vec::new(),
            timeout_ms: None,
        })
        .err()
    };
    let error = refused.map(|error| format!("{error:?}"));
    Ok(structured(serde_json::json!(error).to_string()))
}
