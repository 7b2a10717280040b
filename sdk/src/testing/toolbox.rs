//! Other capsules' tools that a test gives.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bindings::soma::capsule::toolbox::{Error, Problem};

type Run = Box<dyn FnMut(Value) -> Result<Value, ToolProblem>>;

thread_local! {
    static GIVEN: RefCell<BTreeMap<(String, String), Run>> = const { RefCell::new(BTreeMap::new()) };
}

/// The tools of this thread for as long as the value lives; others are denied.
#[derive(Debug)]
#[must_use = "there are tools only while this value lives: `let _tools = …`"]
pub struct Toolbox(());

/// Why a tool of a test gives no answer: made by [`problem`].
#[derive(Clone, Debug)]
pub struct ToolProblem {
    code: String,
    detail: String,
}

/// A failure as the host tells of it: its stable name, and words.
pub fn problem(code: &str, detail: &str) -> ToolProblem {
    ToolProblem {
        code: code.to_owned(),
        detail: detail.to_owned(),
    }
}

impl Toolbox {
    /// None.
    #[expect(
        clippy::new_without_default,
        reason = "a default would not be seen to act"
    )]
    pub fn new() -> Self {
        GIVEN.with_borrow_mut(BTreeMap::clear);
        Self(())
    }

    /// This tool gives its structured answer so.
    pub fn on(
        self,
        capsule: &str,
        tool: &str,
        run: impl FnMut(Value) -> Result<Value, ToolProblem> + 'static,
    ) -> Self {
        let name = (capsule.to_owned(), tool.to_owned());
        GIVEN.with_borrow_mut(|given| given.insert(name, Box::new(run)));
        self
    }
}

impl Drop for Toolbox {
    fn drop(&mut self) {
        GIVEN.with_borrow_mut(BTreeMap::clear);
    }
}

pub(crate) fn call(capsule: &str, tool: &str, input: &str) -> Result<String, Error> {
    let failed = |ToolProblem { code, detail }| {
        Error::Problem(Problem {
            code,
            detail,
            retry_after_ms: None,
        })
    };
    let input = serde_json::from_str(input);
    let input = input.map_err(|error| failed(problem("invalid-json", &error.to_string())))?;
    GIVEN.with_borrow_mut(|given| {
        let run = given.get_mut(&(capsule.to_owned(), tool.to_owned()));
        let run = run.ok_or_else(|| {
            let words = "this test gives no such tool: `testing::Toolbox::on` does";
            Error::Denied(format!("{words}: {capsule}/{tool}"))
        })?;
        let answer = run(input).map_err(failed)?;
        Ok(json!({ "structured": answer }).to_string())
    })
}
