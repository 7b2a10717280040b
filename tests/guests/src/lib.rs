//! What the guests in `examples/` share: the bindings, made straight from the WIT, and
//! [`tool!`], which makes a component of one function. No SDK, so that a guest can misbehave in
//! ways that the SDK would not let it.

pub use bindings::{export, exports, soma};
pub use exports::soma::capsule::tools::{self, Guest, Output, Tool, ToolError};
use serde_json::Value;

#[expect(missing_docs, reason = "generated; the WIT holds the documentation")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        world: "capsule",
        pub_export_macro: true,
        default_bindings_module: "soma_guests",
    });
}

/// Makes the crate a component with the one tool `run`, which is the function given.
#[macro_export]
macro_rules! tool {
    ($run:path) => {
        struct Component;

        impl $crate::Guest for Component {
            fn describe() -> Vec<$crate::Tool> {
                vec![$crate::described("run", "A guest of the tests.")]
            }

            fn call(_tool: String, input: String) -> Result<$crate::Output, $crate::ToolError> {
                $run(input)
            }
        }

        $crate::export!(Component);
    };
}

/// A tool that takes any object.
pub fn described(name: &str, description: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        title: None,
        description: description.to_owned(),
        input_schema: r#"{"type":"object"}"#.to_owned(),
        output_schema: None,
        annotations: tools::Annotations {
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
        },
    }
}

/// Structured output alone.
pub fn structured(json: impl Into<String>) -> Output {
    Output {
        structured: Some(json.into()),
        content: Vec::new(),
    }
}

/// The input as JSON. The host checked it against the schema, so what fails here is the host's
/// mistake, and a trap tells the test.
pub fn parse(input: &str) -> Value {
    serde_json::from_str(input).expect("the host passes one JSON text")
}

/// A whole number in the input, by its name.
pub fn number(input: &Value, name: &str) -> u64 {
    input[name].as_u64().expect("the test gives this number")
}

/// A text in the input, by its name.
pub fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().expect("the test gives this text")
}
