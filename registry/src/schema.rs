//! A tool's schema: JSON Schema 2020-12 that every host can check an input against in bounded
//! time and memory, whoever wrote it.

mod cost;
mod graph;
mod reference;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

pub use self::cost::MAX_COST;

/// The dialect, and the only one.
pub(crate) const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Patterns in all the schemas of one capsule.
pub const MAX_PATTERNS: usize = 256;
/// Bytes of one compiled pattern, about: room for `^\p{L}{1,10}$`, or thousands of ASCII classes.
const PATTERN_BYTES: usize = 256 << 10;

/// A schema, compiled.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    cost: u64,
}

/// Why a schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// Not an object schema, as an input's must be.
    #[error("must say `\"type\": \"object\"` at its top, since a tool's input is an object")]
    NotObject,
    /// Another dialect than 2020-12.
    #[error("names a dialect in `$schema` other than {DRAFT}")]
    Dialect,
    /// Not valid JSON Schema 2020-12.
    #[error("is not usable JSON Schema 2020-12: {0}")]
    Invalid(String),
    /// A reference to something outside the schema, or to nothing.
    #[error(
        "has the reference `{0}`, which leads to nothing in it: refer to `#/$defs/…` or to an \
         `$anchor` of the same schema"
    )]
    Reference(String),
    /// A schema inside with an address of its own, which changes what references mean.
    #[error("has an `$id` inside: put the part under `$defs` and refer to it as `#/$defs/…`")]
    EmbeddedId,
    /// A schema that applies itself to the same value again.
    #[error(
        "has a part that refers back to itself without going into a property or an item, which \
         never ends: take the reference out, or put it under `properties` or `items`"
    )]
    Circular,
    /// A value could be checked more than [`MAX_COST`] times.
    #[error(
        "could check one value of an input more than {MAX_COST} times: combine fewer schemas by \
         `allOf`, `anyOf`, `oneOf` and `$ref`, and let only one of them go into a property that \
         recurs"
    )]
    TooCostly,
    /// Too large to be looked through.
    #[error("has too many parts that refer to each other: make it smaller")]
    TooComplex,
}

impl Schema {
    /// Compiles a schema as every host does. Patterns run in linear time (one that needs
    /// backtracking is refused) and within a bound of memory, nothing is fetched, and what could
    /// make a check hang is refused; see [`Schema::cost`].
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let dialect = schema.get("$schema").and_then(Value::as_str);
        if dialect.is_some_and(|d| !is_draft(d)) {
            return Err(SchemaError::Dialect);
        }
        let cost = cost::of(schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES);
        let validator = jsonschema::draft202012::options()
            .with_pattern_options(patterns)
            .offline()
            .build(schema)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                let at = if place.is_empty() {
                    String::new()
                } else {
                    format!(" at {place}")
                };
                // The words quote the schema, which may be long.
                let words: String = error.to_string().chars().take(400).collect();
                SchemaError::Invalid(format!("{words}{at}"))
            })?;
        Ok(Self { validator, cost })
    }

    /// What checks an input.
    pub fn validator(&self) -> &Validator {
        &self.validator
    }

    /// How many schemas one value of an input is checked against at most, 1 to [`MAX_COST`]. The
    /// whole check takes at most this many steps for every value in the input.
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

fn is_draft(dialect: &str) -> bool {
    dialect.trim_end_matches('#') == DRAFT
}

/// The patterns in a schema: at least those that are compiled.
pub(crate) fn patterns(schema: &Value) -> usize {
    match schema {
        Value::Array(items) => items.iter().map(patterns).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let own = match (key.as_str(), value) {
                    ("pattern", Value::String(_)) => 1,
                    ("patternProperties", Value::Object(patterns)) => patterns.len(),
                    _ => 0,
                };
                own + patterns(value)
            })
            .sum(),
        _ => 0,
    }
}
