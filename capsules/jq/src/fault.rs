//! What is wrong with a filter, and where in its text.

use jaq_core::{compile, load};
use soma_sdk::Error;

/// What did not load: text that is no filter, or one that includes modules.
pub(crate) fn load<P>(code: &str, errors: load::Errors<&str, P>) -> Error {
    let messages = errors.into_iter().flat_map(|(_, error)| match error {
        load::Error::Io(errors) => errors
            .into_iter()
            .map(|(path, why)| at(code, path, &format!("cannot load `{path}`: {why}")))
            .collect::<Vec<_>>(),
        load::Error::Lex(errors) => errors
            .into_iter()
            .map(|(expected, found)| unexpected(code, expected.as_str(), found))
            .collect(),
        load::Error::Parse(errors) => errors
            .into_iter()
            .map(|(expected, found)| unexpected(code, expected.as_str(), found))
            .collect(),
    });
    syntax(messages)
}

/// Names that mean nothing.
pub(crate) fn compile<P>(code: &str, errors: compile::Errors<&str, P>) -> Error {
    let messages = errors
        .into_iter()
        .flat_map(|(_, errors)| errors)
        .map(|(name, undefined)| {
            let what = match undefined {
                compile::Undefined::Filter(arity) => {
                    format!("no filter is called `{name}/{arity}`")
                }
                other => format!("no {} is called `{name}`", other.as_str()),
            };
            at(code, name, &what)
        });
    syntax(messages)
}

fn syntax(messages: impl Iterator<Item = String>) -> Error {
    let messages: Vec<String> = messages.collect();
    Error::invalid_input(format!("the filter is wrong: {}", messages.join("; ")))
}

fn unexpected(code: &str, expected: &str, found: &str) -> String {
    let shown = match found.chars().next() {
        None => "the end".to_owned(),
        Some(_) => format!(
            "`{}`",
            found.chars().take(20).collect::<String>().trim_end()
        ),
    };
    at(code, found, &format!("expected {expected}, found {shown}"))
}

/// The message with the line and column where `part` begins in `code`, counted from 1; a part
/// from elsewhere has no place.
fn at(code: &str, part: &str, message: &str) -> String {
    let start = (part.as_ptr() as usize).wrapping_sub(code.as_ptr() as usize);
    let Some(before) = code.get(..start) else {
        return if part.is_empty() {
            at(code, &code[code.len()..], message)
        } else {
            message.to_owned()
        };
    };
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!("line {line}, column {column}: {message}")
}
