//! Write a capsule: tools for AI agents, as plain Rust functions.
//!
//! ```
//! use soma_sdk::{Error, tool};
//!
//! /// Greets somebody by name.
//! #[tool]
//! fn hello(name: String) -> Result<String, Error> {
//!     Ok(format!("Hello, {name}!"))
//! }
//!
//! soma_sdk::capsule![hello];
//!
//! # fn main() {
//! // The function stays a plain function: test it like one.
//! assert_eq!(hello("Ada".into()).unwrap(), "Hello, Ada!");
//! # }
//! ```
//!
//! An error is a value too, and says which kind it is ([`Error`]):
//!
//! ```
//! use soma_sdk::{Error, tool};
//!
//! /// Gives the quotient of two whole numbers.
//! #[tool(read_only, idempotent)]
//! fn divide(dividend: i64, divisor: i64) -> Result<i64, Error> {
//!     dividend
//!         .checked_div(divisor)
//!         .ok_or_else(|| Error::invalid_input("`divisor` must not be 0"))
//! }
//!
//! assert!(matches!(divide(1, 0), Err(Error::InvalidInput(_))));
//! ```
//!
//! The macros of the [`log`] crate write to the operator's log, from `info` upwards; a tool that
//! wants more calls `log::set_max_level`. A panic is logged too, and ends the call.
//!
//! Compiled for `wasm32-wasip2` the result is a component of the world `soma:capsule/capsule`.
//! Compiled natively, for tests, the same code runs against the machine's own clock and random
//! numbers, and against HTTP exchanges that the test scripts ([`testing`]).

// The bindings and the macros name this crate by its own name, inside it too.
extern crate self as soma_sdk;

mod answer;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
pub mod config;
mod error;
#[doc(hidden)]
pub mod glue;
pub mod http;
pub mod kv;
pub mod links;
mod logger;
pub mod progress;
pub mod random;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod tool;
pub mod toolbox;

pub use answer::{Content, ContentOnly, Output, Resource, ResourceBody};
pub use error::Error;
pub use soma_sdk_macros::tool;
pub use tool::{Annotations, Tool};
pub use {log, schemars, serde, serde_json};
