//! For tests, natively: scripted HTTP, and tools called as the host calls them.
//!
//! ```
//! use soma_sdk::{Error, http, testing};
//!
//! fn title(id: u32) -> Result<String, Error> {
//!     let url = format!("https://api.test/books/{id}");
//!     Ok(http::get(url).send()?.error_for_status()?.text())
//! }
//!
//! let net = testing::Http::new()
//!     .on_get("https://api.test/books/1", testing::reply(200).body("Emma"))
//!     .on_get("https://api.test/books/2", testing::reply(404));
//! assert_eq!(title(1)?, "Emma");
//! assert!(matches!(title(2), Err(Error::NotFound(_))));
//! assert_eq!(net.sent().len(), 2);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```
//! # use soma_sdk::{http, testing};
//! // What no test scripted is denied, and says so.
//! let error = http::get("https://other.test/").send().unwrap_err();
//! assert!(error.to_string().contains("scripted"));
//! ```

mod exchange;
pub(crate) mod links;
mod script;
mod settings;
pub(crate) mod store;
pub(crate) mod toolbox;

pub(crate) use exchange::ScriptedExchange;
pub use links::Links;
pub(crate) use script::exchange;
pub use script::{Http, Reply, Sent, fails, reply};
pub use settings::Settings;
pub(crate) use settings::setting;
pub use store::Store;
pub use toolbox::{ToolProblem, Toolbox, problem};

use serde_json::Value;

use crate::{Content, Error, Tool};

/// A tool's answer as the host receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Structured data.
    pub structured: Option<Value>,
    /// Content items.
    pub content: Vec<Content>,
}

/// Calls a tool as the host does, with its input as JSON: `call::<hello>(json!({"name": "Ada"}))`.
/// The host checks the input against the tool's schema first; this reads it only.
///
/// ```
/// use soma_sdk::{Error, serde_json::json, testing, tool};
///
/// /// Greets somebody by name.
/// #[tool]
/// fn hello(name: String) -> Result<String, Error> {
///     Ok(format!("Hello, {name}!"))
/// }
///
/// let answer = testing::call::<hello>(&json!({"name": "Ada"}))?;
/// assert_eq!(answer.structured, Some(json!("Hello, Ada!")));
/// assert!(testing::call::<hello>(&json!({"nome": "Ada"})).is_err());
/// # Ok::<(), Error>(())
/// ```
pub fn call<T: Tool>(input: &Value) -> Result<Answer, Error> {
    let reply = T::call(&input.to_string())?;
    let structured = reply.structured.as_deref().map(serde_json::from_str);
    Ok(Answer {
        structured: structured.transpose()?,
        content: reply.content,
    })
}
