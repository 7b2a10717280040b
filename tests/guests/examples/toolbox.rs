//! Made with the SDK: calls other capsules' tools, as it is told.

use soma_sdk::serde_json::{Value, json};
use soma_sdk::{Error, http, tool, toolbox};

type Call = (String, String, Value);

/// `calls`: these one after the other, `[capsule, tool, input]` each; gives what each answered, or
/// `{"code": …, "error": …}`. `pass`: one, whose answer or failure becomes its own. `depth`: itself,
/// until something ends that. `url`: a request of its own.
#[tool]
fn run(
    calls: Option<Vec<Call>>,
    pass: Option<Call>,
    depth: Option<u32>,
    url: Option<String>,
) -> Result<Value, Error> {
    if let Some((capsule, tool, input)) = pass {
        return Ok(toolbox::call(&capsule, &tool, &input)?.read()?);
    }
    if let Some(depth) = depth {
        return descend(depth);
    }
    if let Some(url) = url {
        return Ok(json!(http::get(url).send()?.text()));
    }
    Ok(calls
        .unwrap_or_default()
        .into_iter()
        .map(try_call)
        .collect())
}

fn try_call((capsule, tool, input): Call) -> Value {
    match toolbox::call(&capsule, &tool, &input) {
        Ok(answer) => json!({
            "structured": answer.structured(), "content": answer.content(), "text": answer.text()
        }),
        Err(error) => json!({"code": error.code(), "error": error.to_string()}),
    }
}

fn descend(depth: u32) -> Result<Value, Error> {
    match toolbox::call("tests/toolbox", "run", &json!({"depth": depth + 1})) {
        Ok(answer) => Ok(answer.read()?),
        Err(error) => Ok(json!({"depth": depth, "error": error.to_string()})),
    }
}

soma_sdk::capsule![run];
