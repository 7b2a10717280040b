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
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code"
)]

include!("bindings/capsule.rs");
