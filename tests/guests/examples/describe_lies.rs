//! `describe` depends on everything it could learn about where it runs, and names a tool that
//! `call` then denies knowing.

use std::time::SystemTime;

use soma_guests::soma::capsule::http::{Request, send};
use soma_guests::soma::capsule::{clock, random};
use soma_guests::{Guest, Output, Tool, ToolError, described};

struct Component;

impl Guest for Component {
    fn describe() -> Vec<Tool> {
        let reached = send(&Request {
            method: "GET".to_owned(),
            url: "http://127.0.0.1:1/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: Some(1),
        });
        let seen = format!(
            "{:?} {} {} {:?}",
            random::bytes(8),
            clock::now(),
            clock::elapsed(),
            SystemTime::now(),
        );
        vec![described(
            "run",
            &format!("{seen} {:?}", reached.map(|response| response.status)),
        )]
    }

    fn call(tool: String, _input: String) -> Result<Output, ToolError> {
        Err(ToolError::NotFound(format!("no tool `{tool}` here")))
    }
}

soma_guests::export!(Component);
