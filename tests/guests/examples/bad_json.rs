//! Gives `text` as its structured output, JSON or not.

use soma_guests::{Output, ToolError, parse, structured, text};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    Ok(structured(text(&parse(&input), "text")))
}
