//! What cannot be a tool does not compile, and the compiler says why. The wording is in
//! `compile-fail/*.stderr`; `TRYBUILD=overwrite` writes it anew.

#[test]
fn what_cannot_be_a_tool_is_refused_in_words() {
    trybuild::TestCases::new().compile_fail("tests/compile-fail/*.rs");
}
