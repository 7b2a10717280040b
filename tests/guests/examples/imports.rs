//! Uses every small import once and tells what came of it.

use serde_json::json;
use soma_guests::soma::capsule::{clock, log, progress, random};
use soma_guests::{Output, ToolError, structured};

soma_guests::tool!(run);

fn run(_input: String) -> Result<Output, ToolError> {
    let began = clock::elapsed();
    log::write(log::Level::Warn, "imports", "a line from the guest");
    progress::report(1.0, Some(2.0), Some("half way"));
    progress::report(2.0, Some(2.0), None);
    let bytes = random::bytes(32);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(structured(
        json!({
            "now": clock::now(),
            "steady": clock::elapsed() >= began,
            "random": hex,
        })
        .to_string(),
    ))
}
