//! Made with the SDK: does to its store what it is told.

use soma_sdk::serde_json::{Value, json};
use soma_sdk::{Error, kv, tool};

/// Does these one after the other: `[operation, key, …]` each. What fails is `{"error": …}`.
#[tool]
fn run(steps: Vec<Vec<Value>>) -> Result<Vec<Value>, Error> {
    let done = steps.iter().map(|step| {
        let done = act(step).unwrap_or_else(|error| json!({"error": error.to_string()}));
        Ok(done)
    });
    done.collect()
}

fn act(step: &[Value]) -> Result<Value, kv::Error> {
    let text = |position: usize| step.get(position).and_then(Value::as_str);
    let bytes = |position: usize| match step.get(position) {
        Some(Value::Number(many)) => Some(vec![b'x'; many.as_u64().unwrap_or(0) as usize]),
        Some(Value::String(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    let number = || step[2].as_i64().unwrap_or_default();
    let key = text(1).unwrap_or_default();
    match text(0).unwrap_or_default() {
        "get" => kv::get(key)
            .map(|value| json!(value.map(|it| String::from_utf8_lossy(&it).into_owned()))),
        "set" => kv::set(key, bytes(2).unwrap_or_default()).map(|()| json!(null)),
        "delete" => kv::delete(key).map(|()| json!(null)),
        "swap" => {
            let (old, new) = (bytes(2), bytes(3));
            kv::compare_and_set(key, old.as_deref(), new.as_deref()).map(|done| json!(done))
        }
        "add" => kv::increment(key, number()).map(|sum| json!(sum)),
        "keys" => kv::keys(key).map(|keys| json!(keys)),
        other => Ok(json!({"error": format!("no such step: {other}")})),
    }
}

soma_sdk::capsule![run];
