//! Answers with `bytes` bytes of structured JSON, or of content where `content` is true, or with
//! `items` items of no bytes at all.

use soma_guests::tools::Content;
use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    if input["items"].is_u64() {
        return Ok(Output {
            structured: None,
            content: vec![Content::Text(String::new()); number(&input, "items") as usize],
        });
    }
    let filler = "a".repeat(number(&input, "bytes") as usize);
    if input["content"] == true {
        return Ok(Output {
            structured: None,
            content: vec![Content::Text(filler)],
        });
    }
    Ok(structured(format!("\"{filler}\"")))
}
