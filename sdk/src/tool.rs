//! What `#[tool]` makes of a function, beside leaving it as it is.
//!
//! ```
//! use soma_sdk::{Error, Tool, tool};
//!
//! /// Says how long a text is.
//! #[tool(read_only)]
//! fn length(text: String) -> Result<usize, Error> {
//!     Ok(text.len())
//! }
//! // The function and its description go by one name.
//! assert_eq!(<length as Tool>::NAME, "length");
//! assert!(<length as Tool>::ANNOTATIONS.read_only);
//! ```
//!
//! ```
//! # use soma_sdk::{Error, Tool, tool};
//! # /// Says how long a text is.
//! # #[tool(read_only)]
//! # fn length(text: String) -> Result<usize, Error> { Ok(text.len()) }
//! // Input that does not fit the parameters is an invalid input.
//! let error = <length as Tool>::call(r#"{"txt": "a"}"#).unwrap_err();
//! assert!(matches!(error, Error::InvalidInput(_)));
//! ```

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;
use crate::answer::{Reply, schema};

/// A function with `#[tool]` on it. The attribute implements it for a type of the function's own
/// name, so `use` brings in both.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tool",
    label = "put `#[tool]` on a function and name the function here"
)]
pub trait Tool {
    /// The function's name, or `name = "…"` of the attribute.
    const NAME: &'static str;
    /// `title = "…"` of the attribute.
    const TITLE: Option<&'static str>;
    /// The function's doc comment.
    const DESCRIPTION: &'static str;
    /// The flags of the attribute.
    const ANNOTATIONS: Annotations;

    /// JSON Schema 2020-12 of the parameters, an object.
    fn input_schema() -> Value;

    /// JSON Schema 2020-12 of the structured answer, where there is one.
    fn output_schema() -> Option<Value>;

    /// Reads the parameters from one JSON text and calls the function.
    #[doc(hidden)]
    fn call(input: &str) -> Result<Reply, Error>;
}

/// What a client may assume about a tool before calling it: the author's claims, all `false`
/// where the attribute says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Changes nothing outside the call.
    pub read_only: bool,
    /// May delete or overwrite.
    pub destructive: bool,
    /// Calling twice with the same input has the effect of calling once.
    pub idempotent: bool,
    /// Talks to systems outside the host, such as the web.
    pub open_world: bool,
}

/// The schema of a struct that `#[tool]` made of a function's parameters.
pub fn input_schema<T: JsonSchema>() -> Value {
    let mut schema = schema::<T>(SchemaSettings::draft2020_12());
    // A tool without parameters still takes an object, and says so in the same form.
    if let Value::Object(members) = &mut schema {
        members
            .entry("properties")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
    }
    schema
}

/// The parameters read from one JSON text.
pub fn read_input<T: DeserializeOwned>(input: &str) -> Result<T, Error> {
    serde_json::from_str(input)
        .map_err(|why| Error::invalid_input(format!("the input does not fit the tool: {why}")))
}
