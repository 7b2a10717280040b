//! A tool's input: one JSON text without ambiguities that fits the tool's schema.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use soma_registry::Schema;

use crate::problem::InputError;

/// Errors told to the client; an input can be wrong in more places than anybody reads.
const MAX_ERRORS: usize = 64;
/// Characters of one error's words, which quote the input.
const MAX_WORDS: usize = 400;

/// Values in one input. Parsed, each takes 32 bytes and its text, an object some hundreds more.
const MAX_VALUES: u64 = 1_000_000;
/// Values that an object counts as.
const OBJECT: u64 = 16;
/// Schemas applied to values in one check: some seconds.
const MAX_STEPS: u64 = 32_000_000;
/// Bytes of text that take about as long as one more value.
const TEXT: u64 = 64;
/// Steps up to which all errors are collected, since whoever looks for one finds them all.
const LISTED_STEPS: u64 = 250_000;
/// Bytes, and bytes times the schema's cost, up to which a check takes less than handing it to
/// another thread.
const QUICK: (u64, u64) = (64 << 10, 1 << 20);

/// Why an input is refused before the guest runs.
#[derive(Debug, thiserror::Error)]
pub enum InvalidInput {
    /// Not one JSON text in UTF-8, or one with a member twice.
    #[error("{0}")]
    Json(String),
    /// More values than the host keeps in memory, or has the time to check.
    #[error(
        "the input has too many values: at most {MAX_VALUES}, an object counting as {OBJECT}, and \
         fewer where the tool's schema is complex"
    )]
    TooMany,
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

/// Whether this input is checked in less time than it takes to hand it to another thread.
pub(crate) fn is_quick(body: &[u8], schema: &Schema) -> bool {
    let bytes = body.len() as u64;
    bytes <= QUICK.0 && bytes.saturating_mul(schema.cost()) <= QUICK.1
}

/// Checks a body against a tool's compiled input schema, and gives it back as the text that the
/// guest gets: the very bytes checked.
pub fn check(body: Vec<u8>, schema: &Schema) -> Result<String, InvalidInput> {
    let text = String::from_utf8(body).map_err(|error| {
        InvalidInput::Json(format!(
            "not UTF-8 at byte {}",
            error.utf8_error().valid_up_to()
        ))
    })?;
    let (value, values) = parse(&text)?;
    let steps = |things: u64| things.saturating_mul(schema.cost());
    if steps(values + text.len() as u64 / TEXT) > MAX_STEPS {
        return Err(InvalidInput::TooMany);
    }
    if schema.validator().is_valid(&value) {
        return Ok(text);
    }
    Err(if steps(values) > LISTED_STEPS {
        unlisted()
    } else {
        listed(&value, schema)
    })
}

fn listed(value: &Value, schema: &Schema) -> InvalidInput {
    let errors = schema.validator().iter_errors(value).take(MAX_ERRORS + 1);
    let mut errors: Vec<InputError> = errors
        .map(|error| InputError {
            pointer: error.instance_path().to_string(),
            detail: shortened(&error.to_string()),
        })
        .collect();
    let total = errors.len();
    errors.truncate(MAX_ERRORS);
    InvalidInput::Schema { errors, total }
}

fn unlisted() -> InvalidInput {
    let detail = "somewhere in it; it has too many values for the places to be listed";
    InvalidInput::Schema {
        errors: vec![InputError {
            pointer: String::new(),
            detail: detail.to_owned(),
        }],
        total: 1,
    }
}

fn shortened(words: &str) -> String {
    match words.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// The value, and how many values there are in it.
fn parse(text: &str) -> Result<(Value, u64), InvalidInput> {
    let left = Cell::new(Some(MAX_VALUES));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Unambiguous { left: &left }.deserialize(&mut deserializer);
    let Some(unused) = left.get() else {
        return Err(InvalidInput::TooMany);
    };
    let whole = value.and_then(|value| deserializer.end().map(|()| value));
    let value = whole.map_err(|error| InvalidInput::Json(shortened(&error.to_string())))?;
    Ok((value, MAX_VALUES - unused))
}

/// A JSON value none of whose objects has a name twice (I-JSON, RFC 7493 §2.3): parsers differ in
/// which of the two they take, and then the guest would see another input than the one checked.
#[derive(Clone, Copy)]
struct Unambiguous<'a> {
    /// The values that it may still have. None once there were more.
    left: &'a Cell<Option<u64>>,
}

impl Unambiguous<'_> {
    fn count<E: serde::de::Error>(self, values: u64) -> Result<(), E> {
        let left = self.left.get().and_then(|left| left.checked_sub(values));
        self.left.set(left);
        match left {
            Some(_) => Ok(()),
            None => Err(E::custom("too many values")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Unambiguous<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.count(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unambiguous<'_> {
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
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.count(OBJECT - 1)?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self)?;
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
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::compile(&json!({
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
    fn an_input_that_would_fill_the_memory_is_refused() {
        let any = Schema::compile(&json!({})).unwrap();
        let objects = format!("[{}1]", r#"{"":0},"#.repeat(600_000));
        let numbers = format!("[{}1]", "0,".repeat(1_000_000));
        for many in [objects, numbers] {
            let refusal = check(many.into(), &any).unwrap_err();
            assert!(matches!(refusal, InvalidInput::TooMany), "{refusal:?}");
        }
        let fair = format!("[{}1]", "0,".repeat(900_000));
        assert!(check(fair.into(), &any).is_ok());
    }

    #[test]
    fn a_complex_schema_gets_fewer_values() {
        let branches: Vec<Value> = (0..1000).map(|n| json!({ "const": n })).collect();
        let schema = Schema::compile(&json!({"items": {"anyOf": branches}})).unwrap();
        let list = |values: usize| format!("[{}1]", "\"\",".repeat(values));
        let refusal = check(list(100_000).into(), &schema).unwrap_err();
        assert!(matches!(refusal, InvalidInput::TooMany), "{refusal:?}");
        let Err(InvalidInput::Schema { errors, .. }) = check(list(1000).into(), &schema) else {
            panic!("accepted")
        };
        assert!(errors[0].detail.contains("too many values"), "{errors:?}");
    }
}
