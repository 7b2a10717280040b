//! JSON texts to jaq's values and back. jaq's values can hold what JSON cannot.

use jaq_json::{Num, Val, read as jaq_read};
use serde_json::value::RawValue;
use soma_sdk::Error;

/// How deep an output may be nested: each level costs stack, of which a guest has little.
const MAX_DEPTH: usize = 512;

/// Reads one JSON value.
pub(crate) fn read(text: &RawValue) -> Result<Val, Error> {
    jaq_read::parse_single(text.get().as_bytes())
        .map_err(|why| Error::invalid_input(format!("not JSON: {why}")))
}

/// Writes one value as JSON. As in jq, `nan` becomes null and an infinite number the largest
/// finite one.
pub(crate) fn write(value: &Val) -> Result<Box<RawValue>, Error> {
    let mut text = String::new();
    write_to(&mut text, value, 0)?;
    Ok(RawValue::from_string(text)?)
}

fn write_to(text: &mut String, value: &Val, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid_input(format!(
            "an output is nested deeper than {MAX_DEPTH} levels"
        )));
    }
    match value {
        Val::Null => text.push_str("null"),
        Val::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Val::Num(Num::Float(number)) => text.push_str(&float(*number)),
        Val::Num(number) => text.push_str(&number.to_string()),
        Val::TStr(bytes) | Val::BStr(bytes) => string(text, bytes)?,
        Val::Arr(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(text, i);
                write_to(text, item, depth + 1)?;
            }
            text.push(']');
        }
        Val::Obj(members) => {
            text.push('{');
            for (i, (key, value)) in members.iter().enumerate() {
                separate(text, i);
                let Val::TStr(key) = key else {
                    return Err(Error::invalid_input(format!(
                        "an output has the key {key}, which is no string: JSON has no such objects"
                    )));
                };
                string(text, key)?;
                text.push(':');
                write_to(text, value, depth + 1)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

fn separate(text: &mut String, position: usize) {
    if position > 0 {
        text.push(',');
    }
}

fn string(text: &mut String, bytes: &[u8]) -> Result<(), Error> {
    text.push_str(&serde_json::to_string(&String::from_utf8_lossy(bytes))?);
    Ok(())
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return "null".to_owned();
    }
    Val::from(number.clamp(f64::MIN, f64::MAX)).to_string()
}
