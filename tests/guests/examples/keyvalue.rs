//! The store through `wasi:keyvalue`, as a program that never heard of capsules would have it.

use serde_json::{Value, json};
use soma_guests::{Output, ToolError, parse, structured};

use bindings::wasi::keyvalue::{atomics, batch, store};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/deps/wasi-keyvalue-0.2.0-draft",
        world: "imports",
    });
}

soma_guests::tool!(run);

/// Does the steps one after the other: `[operation, key, …]` each. What fails is `{"error": …}`.
fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let name = input["bucket"].as_str().unwrap_or_default();
    let bucket = store::open(name).map_err(|error| ToolError::Failed(error.to_string()))?;
    let steps = input["steps"].as_array().cloned().unwrap_or_default();
    let done = steps
        .iter()
        .map(|step| act(&bucket, step).unwrap_or_else(|error| json!({"error": error.to_string()})));
    let done: Vec<Value> = done.collect();
    Ok(structured(json!(done).to_string()))
}

fn act(bucket: &store::Bucket, step: &Value) -> Result<Value, store::Error> {
    let text = |position: usize| step[position].as_str().unwrap_or_default();
    let shown = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    let list = || -> Vec<String> {
        let keys = step[1].as_array().cloned().unwrap_or_default();
        let keys = keys
            .iter()
            .filter_map(|key| key.as_str().map(str::to_owned));
        keys.collect()
    };
    match text(0) {
        "get" => Ok(json!(bucket.get(text(1))?.map(shown))),
        "set" => Ok(json!(bucket.set(text(1), text(2).as_bytes())?)),
        "delete" => Ok(json!(bucket.delete(text(1))?)),
        "exists" => Ok(json!(bucket.exists(text(1))?)),
        "add" => {
            let by = step[2].as_u64().unwrap_or_default();
            Ok(json!(atomics::increment(bucket, text(1), by)?))
        }
        "keys" => {
            let page = bucket.list_keys(step[1].as_u64())?;
            Ok(json!({"first": page.keys.first(), "count": page.keys.len(), "cursor": page.cursor}))
        }
        "get-many" => {
            let found = batch::get_many(bucket, &list())?.into_iter();
            Ok(json!(
                found
                    .map(|it| it.map(|(key, value)| (key, value.len())))
                    .collect::<Vec<_>>()
            ))
        }
        "set-many" => {
            let entries: Vec<_> = list()
                .into_iter()
                .map(|key| (key, b"many".to_vec()))
                .collect();
            Ok(json!(batch::set_many(bucket, &entries)?))
        }
        "delete-many" => Ok(json!(batch::delete_many(bucket, &list())?)),
        other => Err(store::Error::Other(format!("no such step: {other}"))),
    }
}
