//! A request through `wasi:http` by an ordinary library, as a program that never heard of
//! capsules would make it: `method`, `url`, `headers`, `body` in.

use serde_json::json;
use soma_guests::{Output, ToolError, parse, structured, text};
use wstd::http::{Body, Client, Request};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    wstd::runtime::block_on(async {
        let method = input["method"].as_str().unwrap_or("GET");
        let mut request = Request::builder().method(method).uri(text(&input, "url"));
        for (name, value) in input["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().unwrap_or_default());
        }
        let body = match input["body"].as_str() {
            Some(body) => Body::from(body.to_owned()),
            None => Body::empty(),
        };
        let request = request
            .body(body)
            .map_err(|error| ToolError::InvalidInput(error.to_string()))?;
        let mut response = Client::new()
            .send(request)
            .await
            .map_err(|error| ToolError::Failed(error.to_string()))?;
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .str_contents()
            .await
            .map_err(|error| ToolError::Failed(error.to_string()))?;
        Ok(structured(
            json!({"status": status, "body": body}).to_string(),
        ))
    })
}
