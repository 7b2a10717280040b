//! What `wit-bindgen` makes of the world `capsule`; no other module names its types but to
//! convert them.
//!
//! It is checked in, so that building a capsule does not begin with building the generator. A test
//! of this repository makes it anew and compares; `SOMA_WRITE_BINDINGS=1` lets it write instead.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    clippy::uninlined_format_args,
    reason = "generated code"
)]

include!("bindings/capsule.rs");
