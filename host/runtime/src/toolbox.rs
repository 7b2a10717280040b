//! Other capsules' tools, for a guest that may call them. Where they run is another crate's to say.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime_wasi::async_trait;

use crate::balance::Allowance;

/// The tools that one call may call.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// Runs one within what is left of the call.
    async fn call(&self, call: InnerCall, left: Left) -> Inner;
}

/// A call that a guest makes: its own words, not looked at yet.
#[derive(Clone, Debug)]
pub struct InnerCall {
    /// Whose tool.
    pub capsule: String,
    /// The tool's name.
    pub tool: String,
    /// Should be one JSON text.
    pub input: String,
}

/// What a call may still use, and so what those within it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Units of fuel.
    pub fuel: u64,
    /// Until its end.
    pub time: Duration,
    /// What it may cost.
    pub allowance: Allowance,
}

/// What came of a call within a call.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The answer as JSON text, or why there is none.
    pub result: Result<String, NoAnswer>,
    /// The fuel it took.
    pub fuel: u64,
    /// What it cost all together, in fuel: see [`Usage::cost`](crate::Usage::cost).
    pub cost: u64,
    /// The same in tokens.
    pub tokens: u64,
    /// Whether it may have sent something.
    pub has_effects: bool,
}

/// Why a call within a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is not allowed; the text says what is missing.
    Denied(String),
    /// Anything else.
    Problem {
        /// Its stable name.
        code: &'static str,
        /// For people and models.
        detail: String,
        /// Milliseconds after which it may go better.
        retry_after_ms: Option<u64>,
    },
}

/// The tools that a call may call; by default none.
#[derive(Clone, Default)]
pub struct Tools(Option<Arc<dyn Toolbox>>);

impl Tools {
    /// These.
    pub fn new(toolbox: Arc<dyn Toolbox>) -> Self {
        Self(Some(toolbox))
    }

    pub(crate) async fn call(&self, call: InnerCall, left: Left) -> Inner {
        match &self.0 {
            Some(toolbox) => toolbox.call(call, left).await,
            None => Inner::not_begun(NoAnswer::Denied(
                "no other capsules' tools were granted, or the capsule did not ask for any"
                    .to_owned(),
            )),
        }
    }
}

impl Inner {
    /// Of a call that did not begin.
    pub fn not_begun(why: NoAnswer) -> Self {
        Self {
            result: Err(why),
            fuel: 0,
            cost: 0,
            tokens: 0,
            has_effects: false,
        }
    }
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Tools"
        } else {
            "no tools"
        })
    }
}
