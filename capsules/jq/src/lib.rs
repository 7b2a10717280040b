//! The capsule `soma/jq`: jq filters over JSON, run by the `jaq` crates.

mod fault;
mod filter;
mod json;

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use soma_sdk::{Error, tool};

use filter::Filter;

/// Any JSON value, as its text: numbers keep all their digits.
type Json = Box<RawValue>;

/// Runs a jq filter over JSON and gives back all its outputs, as a list.
///
/// Use it to pick, rename, group, sort, count or sum up parts of JSON data exactly, instead of
/// doing so by reading. Examples of filters: `.items[] | select(.price > 10) | .name`,
/// `group_by(.city) | map({city: .[0].city, n: length})`, `[.[].total] | add`.
/// A filter that fails, or cannot be understood, is an invalid input whose message says where.
#[tool(title = "jq", read_only, idempotent)]
fn jq(
    /// The jq filter.
    filter: String,
    /// What it runs over; null where left out.
    input: Option<Json>,
    /// Further inputs. The filter runs over each in turn, unless it reads them itself with
    /// `input` and `inputs`.
    #[serde(default)]
    inputs: Vec<Json>,
    /// Values for the filter's variables: `{"min": 10}` makes `$min` 10.
    #[serde(default)]
    args: BTreeMap<String, Json>,
) -> Result<Vec<Json>, Error> {
    let variables = args
        .iter()
        .map(|(name, value)| Ok((variable(name)?, json::read(value)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let first = input.as_deref().unwrap_or(RawValue::NULL);
    let inputs = std::iter::once(first)
        .chain(inputs.iter().map(AsRef::as_ref))
        .map(json::read)
        .collect::<Result<Vec<_>, Error>>()?;
    Filter::compile(&filter, variables)?.run(inputs)
}

/// `$name`, where a filter can write it so.
fn variable(name: &str) -> Result<String, Error> {
    let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
    let goes_on = |c: char| begins(c) || c.is_ascii_digit();
    if name.starts_with(begins) && name.chars().all(goes_on) {
        return Ok(format!("${name}"));
    }
    Err(Error::invalid_input(format!(
        "`args`: `{}` cannot be a variable's name: letters, digits and `_`, no digit first",
        name.escape_debug()
    )))
}

soma_sdk::capsule![jq];

#[cfg(test)]
mod tests;
