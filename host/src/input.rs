//! A tool's input: one JSON text without ambiguities that fits the tool's schema.

use std::fmt;

use jsonschema::Validator;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::problem::InputError;

/// Errors told to the client; an input can be wrong in more places than anybody reads.
const MAX_ERRORS: usize = 64;
/// Characters of one error's words, which quote the input.
const MAX_WORDS: usize = 400;

/// Why an input is refused before the guest runs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidInput {
    /// Not one JSON text in UTF-8, or one with a member twice.
    #[error("{0}")]
    Json(String),
    /// Not what the schema wants.
    #[error("the input does not fit the tool's input schema in {}", places(*.total))]
    Schema {
        /// The first of them.
        errors: Vec<InputError>,
        /// How many there are, counted to just past the ones told.
        total: usize,
    },
}

fn places(total: usize) -> String {
    match total {
        1 => "1 place".to_owned(),
        n if n > MAX_ERRORS => format!("more than {MAX_ERRORS} places"),
        n => format!("{n} places"),
    }
}

/// Checks a body, and gives it back as the text that the guest gets: the very bytes checked.
pub(crate) fn check(body: Vec<u8>, schema: &Validator) -> Result<String, InvalidInput> {
    let text = String::from_utf8(body).map_err(|error| {
        InvalidInput::Json(format!(
            "not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        ))
    })?;
    let Unambiguous(value) = serde_json::from_str(&text)
        .map_err(|error| InvalidInput::Json(shortened(&error.to_string())))?;
    if schema.is_valid(&value) {
        return Ok(text);
    }
    let errors: Vec<InputError> = schema
        .iter_errors(&value)
        .take(MAX_ERRORS + 1)
        .map(|error| InputError {
            pointer: error.instance_path().to_string(),
            detail: shortened(&error.to_string()),
        })
        .collect();
    let total = errors.len();
    let mut errors = errors;
    errors.truncate(MAX_ERRORS);
    Err(InvalidInput::Schema { errors, total })
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// A JSON value none of whose objects has a name twice (I-JSON, RFC 7493 §2.3): parsers differ in
/// which of the two they take, and then the guest would see another input than the one checked.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unambiguous(value))) = members.next_entry::<String, _>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "the member {name:?} occurs twice in one object"
                )));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use soma_registry::compile_schema;

    use super::*;

    fn schema() -> Validator {
        compile_schema(&json!({
            "type": "object",
            "properties": {"n": {"type": "integer"}, "list": {"items": {"type": "string"}}},
            "required": ["n"],
            "additionalProperties": false,
        }))
        .unwrap()
    }

    #[test]
    fn says_where_and_what_for_every_error() {
        let error = check(br#"{"n": "1", "list": ["a", 2]}"#.to_vec(), &schema()).unwrap_err();
        let InvalidInput::Schema { errors, total } = error else {
            panic!("{error:?}")
        };
        let mut pointers: Vec<&str> = errors.iter().map(|e| e.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!((pointers, total), (vec!["/list/1", "/n"], 2));
    }

    #[test]
    fn gives_back_what_was_checked() {
        // Not as it would be written again: the spaces, and 1e0, which is an integer to JSON Schema.
        let text = r#" {"n": 1e0, "list": []} "#;
        assert_eq!(check(text.into(), &schema()).unwrap(), text);
    }

    #[test]
    fn refuses_what_two_parsers_could_read_differently() {
        let nested = "[".repeat(500);
        for bad in [
            "",
            "{",
            "{} {}",
            "nul",
            r#"{"n": 1, "n": 2}"#,
            "\u{feff}{}",
            &nested,
        ] {
            let refusal = check(bad.into(), &schema()).unwrap_err();
            assert!(
                matches!(refusal, InvalidInput::Json(_)),
                "{bad}: {refusal:?}"
            );
        }
        assert!(matches!(
            check(vec![0xff], &schema()),
            Err(InvalidInput::Json(_))
        ));
    }

    #[test]
    fn many_and_long_errors_are_cut() {
        let long: Vec<u32> = (0..10_000).collect();
        let text = json!({"n": "x".repeat(10_000), "list": long}).to_string();
        let Err(InvalidInput::Schema { errors, total }) = check(text.into(), &schema()) else {
            panic!("accepted")
        };
        assert_eq!((errors.len(), total), (MAX_ERRORS, MAX_ERRORS + 1));
        assert!(
            errors
                .iter()
                .all(|error| error.detail.chars().count() <= MAX_WORDS + 1)
        );
    }

    #[test]
    fn a_pattern_that_could_hang_does_not_compile() {
        assert!(compile_schema(&json!({"pattern": "(?=a)b"})).is_err());
    }
}
