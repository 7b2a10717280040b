//! Between the macros and the rest: what `#[tool]` and `capsule!` expand to names only this
//! module. No part of the public API.

pub use schemars;
pub use serde;
pub use wit_bindgen;

use serde_json::Value;

use crate::answer::Answer;
pub use crate::answer::Reply;
use crate::bindings::exports::soma::capsule::tools;
pub use crate::tool::{input_schema, read_input};
use crate::{Annotations, Error, Tool, logger};

/// The export macro that `wit-bindgen` made.
pub use crate::bindings::export_capsule as export;

/// The most tools a capsule may have.
const MAX_TOOLS: usize = 64;

/// One tool of a capsule, as a value.
#[derive(Clone, Copy)]
pub struct Entry {
    name: &'static str,
    title: Option<&'static str>,
    description: &'static str,
    annotations: Annotations,
    input_schema: fn() -> Value,
    output_schema: fn() -> Option<Value>,
    call: fn(&str) -> Result<Reply, Error>,
}

impl Entry {
    /// The tool as a value.
    pub const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            title: T::TITLE,
            description: T::DESCRIPTION,
            annotations: T::ANNOTATIONS,
            input_schema: T::input_schema,
            output_schema: T::output_schema,
            call: T::call,
        }
    }

    fn describe(&self) -> tools::Tool {
        tools::Tool {
            name: self.name.to_owned(),
            title: self.title.map(str::to_owned),
            description: self.description.to_owned(),
            input_schema: (self.input_schema)().to_string(),
            output_schema: (self.output_schema)().map(|schema| schema.to_string()),
            annotations: tools::Annotations {
                read_only: self.annotations.read_only,
                destructive: self.annotations.destructive,
                idempotent: self.annotations.idempotent,
                open_world: self.annotations.open_world,
            },
        }
    }
}

/// A capsule's tools; `capsule!` implements it once a crate.
pub trait Offer {
    /// In the order in which they were named.
    const TOOLS: &'static [Entry];
}

impl<T: Offer> tools::Guest for T {
    fn describe() -> Vec<tools::Tool> {
        logger::install();
        T::TOOLS.iter().map(Entry::describe).collect()
    }

    fn call(tool: String, input_json: String) -> Result<tools::Output, tools::ToolError> {
        logger::install();
        let entry = T::TOOLS
            .iter()
            .find(|entry| entry.name == tool)
            .ok_or_else(|| tools::ToolError::NotFound(format!("no tool is called `{tool}`")))?;
        Ok((entry.call)(&input_json)?.into())
    }
}

/// The output schema of a tool function's return type.
pub fn output_schema<R: ToolResult>() -> Option<Value> {
    R::schema()
}

/// What a tool function returned, as it leaves the guest.
pub fn reply<R: ToolResult>(result: R) -> Result<Reply, Error> {
    result.reply()
}

/// A `Result` that a tool function may return.
#[diagnostic::on_unimplemented(
    message = "a tool cannot return `{Self}`",
    label = "a tool returns `Result<T, soma_sdk::Error>`"
)]
pub trait ToolResult {
    /// The schema of its structured answer.
    fn schema() -> Option<Value>;
    /// The answer as it leaves the guest.
    fn reply(self) -> Result<Reply, Error>;
}

impl<T: Answer, E: Into<Error>> ToolResult for Result<T, E> {
    fn schema() -> Option<Value> {
        T::schema()
    }

    fn reply(self) -> Result<Reply, Error> {
        self.map_err(Into::into)?.reply()
    }
}

/// Fails the build where a capsule's tools cannot stand beside one another.
pub const fn check(tools: &[Entry]) {
    assert!(tools.len() <= MAX_TOOLS, "a capsule has at most 64 tools");
    let mut i = 0;
    while i < tools.len() {
        let mut j = i + 1;
        while j < tools.len() {
            assert!(
                !same(tools[i].name.as_bytes(), tools[j].name.as_bytes()),
                "two tools of this capsule have the same name: give one `#[tool(name = \"…\")]`"
            );
            j += 1;
        }
        i += 1;
    }
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Makes a capsule of the functions named, each with [`#[tool]`](macro@crate::tool) on it. Write
/// it once, in the crate's root.
///
/// ```
/// # mod weather {
/// #     /// Says nothing.
/// #     #[soma_sdk::tool] pub fn today() -> Result<(), soma_sdk::Error> { Ok(()) }
/// # }
/// # /// Says nothing.
/// # #[soma_sdk::tool] fn hello() -> Result<(), soma_sdk::Error> { Ok(()) }
/// soma_sdk::capsule![hello, weather::today];
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! capsule {
    () => {
        ::core::compile_error!("a capsule offers at least one tool: `soma_sdk::capsule![function]`");
    };
    ($($tool:path),+ $(,)?) => {
        const _: () = {
            const TOOLS: &[$crate::glue::Entry] = &[$($crate::glue::Entry::of::<$tool>()),+];
            const _: () = $crate::glue::check(TOOLS);

            #[cfg(target_family = "wasm")]
            struct Capsule;

            #[cfg(target_family = "wasm")]
            impl $crate::glue::Offer for Capsule {
                const TOOLS: &'static [$crate::glue::Entry] = TOOLS;
            }

            #[cfg(target_family = "wasm")]
            $crate::glue::export!(Capsule);
        };
    };
}
