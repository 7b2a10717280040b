//! One request through `soma:capsule/http`: `method`, `url`, `headers`, `body`, `timeout_ms` in;
//! the response, or the error's own name and text, out. With `times` as often, one after the other;
//! the last one's answer.

use serde_json::{Value, json};
use soma_guests::soma::capsule::http::{Error, Header, Request, Response, send};
use soma_guests::{Output, ToolError, parse, structured, text};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let headers = input["headers"].as_object().into_iter().flatten();
    let request = Request {
        method: input["method"].as_str().unwrap_or("GET").to_owned(),
        url: text(&input, "url").to_owned(),
        headers: headers
            .map(|(name, value)| Header {
                name: name.clone(),
                value: value.as_str().unwrap_or_default().to_owned(),
            })
            .collect(),
        body: input["body"].as_str().unwrap_or_default().into(),
        timeout_ms: input["timeout_ms"].as_u64().map(|ms| ms as u32),
    };
    for _ in 1..input["times"].as_u64().unwrap_or(1) {
        let _ = send(&request);
    }
    let answer = match send(&request) {
        Ok(response) => shown(&response),
        Err(error) => refused(error),
    };
    Ok(structured(answer.to_string()))
}

fn shown(response: &Response) -> Value {
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|header| json!([header.name, header.value]))
        .collect();
    json!({
        "status": response.status,
        "headers": headers,
        "body": String::from_utf8_lossy(&response.body),
    })
}

fn refused(error: Error) -> Value {
    let (name, message) = match error {
        Error::Denied(message) => ("denied", message),
        Error::InvalidRequest(message) => ("invalid-request", message),
        Error::Connect(message) => ("connect", message),
        Error::Tls(message) => ("tls", message),
        Error::Timeout => ("timeout", String::new()),
        Error::TooLarge(bound) => ("too-large", bound.to_string()),
        Error::Protocol(message) => ("protocol", message),
    };
    json!({"error": name, "message": message})
}
