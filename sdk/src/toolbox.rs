//! Other capsules' tools: those that `capsule.toml` asks for (`[[capabilities.tools]]`), that the
//! operator granted, and that the key of the call may call too. They burn the fuel and the time of the
//! call that asks.
//!
//! ```
//! use soma_sdk::serde_json::json;
//! use soma_sdk::{Error, testing, toolbox};
//!
//! fn total(prices: &[u32]) -> Result<u32, Error> {
//!     let input = json!({"filter": "add", "input": prices});
//!     Ok(toolbox::call("soma/jq", "jq", &input)?.read()?)
//! }
//!
//! let _tools = testing::Toolbox::new().on("soma/jq", "jq", |input| {
//!     assert_eq!(input["filter"], "add");
//!     Ok(json!(6))
//! });
//! assert_eq!(total(&[1, 2, 3])?, 6);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```
//! # use soma_sdk::serde_json::json;
//! # use soma_sdk::{Error, testing, toolbox};
//! let _tools = testing::Toolbox::new().on("acme/mail", "send", |_| {
//!     Err(testing::problem("tool-not-found", "no such mailbox"))
//! });
//! let error = toolbox::call("acme/mail", "send", &json!({})).unwrap_err();
//! assert_eq!(error.code(), Some("tool-not-found"));
//! // Whoever called is told so too, where it leaves the tool.
//! assert!(matches!(error.into(), Error::NotFound(_)));
//! ```

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bindings::soma::capsule::toolbox as wit;
#[cfg(target_family = "wasm")]
use crate::bindings::soma::capsule::toolbox as tools;
#[cfg(not(target_family = "wasm"))]
use crate::testing::toolbox as tools;

/// Why a tool gave no answer. `?` in a tool makes the fitting [`soma_sdk::Error`](crate::Error) of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The capsule did not ask for the tool, the operator did not grant it, or the key of the call may
    /// not call it.
    #[error("the host does not allow this: {0}")]
    Denied(String),
    /// It failed, or there is none.
    #[error("{capsule}/{tool}: {detail} ({code})")]
    Problem {
        /// Whose tool.
        capsule: String,
        /// The tool's name.
        tool: String,
        /// What kind of problem, in the host's stable words, such as `tool-not-found`.
        code: String,
        /// For people and models.
        detail: String,
        /// How long to wait before trying again, where it is known.
        retry_after: Option<Duration>,
    },
    /// The input cannot be written as JSON, or the answer is not what was expected.
    #[error("{0}")]
    Json(String),
}

/// What a tool answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer {
    /// Its structured answer, where it gave one.
    #[serde(default)]
    structured: Option<Value>,
    /// Content for models and people, as the HTTP API has it.
    #[serde(default)]
    content: Vec<Value>,
}

/// Calls a tool and waits for its answer.
///
/// # Errors
/// Where it is not allowed, or gave no answer.
pub fn call<T: Serialize + ?Sized>(capsule: &str, tool: &str, input: &T) -> Result<Answer, Error> {
    let input = serde_json::to_string(input);
    let input = input.map_err(|error| Error::Json(format!("the input: {error}")))?;
    let answer = tools::call(capsule, tool, &input).map_err(|error| told(capsule, tool, error))?;
    serde_json::from_str(&answer).map_err(|error| Error::Json(format!("the answer: {error}")))
}

impl Answer {
    /// The structured answer, read as this.
    ///
    /// # Errors
    /// [`Error::Json`] where there is none, or it is something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let structured = self.structured.as_ref();
        let structured =
            structured.ok_or_else(|| Error::Json("the answer is not structured".to_owned()))?;
        T::deserialize(structured).map_err(|error| Error::Json(format!("the answer: {error}")))
    }

    /// The structured answer, where there is one.
    pub fn structured(&self) -> Option<&Value> {
        self.structured.as_ref()
    }

    /// Content items in the form that MCP gives them: `type`, and what belongs to it.
    pub fn content(&self) -> &[Value] {
        &self.content
    }

    /// The texts of the content, a line break between them.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|item| item["text"].as_str());
        texts.collect::<Vec<_>>().join("\n")
    }
}

impl Error {
    /// The kind of problem, where the host named one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { code, .. } => Some(code),
            _ => None,
        }
    }
}

fn told(capsule: &str, tool: &str, error: wit::Error) -> Error {
    match error {
        wit::Error::Denied(why) => Error::Denied(why),
        wit::Error::Problem(wit::Problem {
            code,
            detail,
            retry_after_ms,
        }) => Error::Problem {
            capsule: capsule.to_owned(),
            tool: tool.to_owned(),
            code,
            detail,
            retry_after: retry_after_ms.map(Duration::from_millis),
        },
    }
}
