//! Asks `times` times for an origin that nobody granted, whose name has `bytes` bytes; `different`
//! ones, where that is wanted.

use soma_guests::soma::capsule::http::{Error, Request, send};
use soma_guests::{Output, ToolError, number, parse, structured};

soma_guests::tool!(run);

fn run(input: String) -> Result<Output, ToolError> {
    let input = parse(&input);
    let name = "d".repeat(number(&input, "bytes") as usize);
    let mut longest = 0;
    for time in 0..number(&input, "times") {
        let which = match input["different"] == true {
            true => format!("{time}."),
            false => String::new(),
        };
        let url = format!("http://{which}{name}.test/");
        let answer = send(&Request {
            method: "GET".to_owned(),
            url,
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: None,
        });
        match answer {
            Err(Error::Denied(why) | Error::InvalidRequest(why)) => {
                longest = longest.max(why.len());
            }
            other => return Err(ToolError::Failed(format!("{other:?}"))),
        }
    }
    Ok(structured(longest.to_string()))
}
