//! The `soma` command.
fn main() {}
