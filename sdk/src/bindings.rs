//! What `wit-bindgen` makes of the world `capsule`; no other module names its types but to
//! convert them.
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

wit_bindgen::generate!({
    path: "../wit/0.1.0",
    world: "capsule",
    runtime_path: "::soma_sdk::glue::wit_bindgen::rt",
    pub_export_macro: true,
    export_macro_name: "export_capsule",
    default_bindings_module: "::soma_sdk::bindings",
});
