//! Lists of what is asked for: read within a bound, and written as people write them.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::{Deserialize, Deserializer, de::Error};

use crate::text;

const MAX_WHY: usize = 200;

/// At least one and at most `bound`.
pub(crate) fn of<'de, D, T>(deserializer: D, what: &str, bound: usize) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Vec::deserialize(deserializer)?;
    if !(1..=bound).contains(&list.len()) {
        return Err(D::Error::custom(format_args!(
            "here are {} {what}; 1 to {bound} are allowed",
            list.len()
        )));
    }
    Ok(list)
}

/// Refuses a list in which two have the same key.
pub(super) fn distinct<T, E: Error>(list: &[T], key: impl Fn(&T) -> String) -> Result<(), E> {
    let mut seen = BTreeSet::new();
    for item in list {
        let key = key(item);
        if seen.contains(&key) {
            return Err(E::custom(format_args!("`{key}` is there twice")));
        }
        seen.insert(key);
    }
    Ok(())
}

/// The author's reason: one line that is not empty and fit to be shown.
pub(super) fn why<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let reason = String::deserialize(deserializer)?;
    text::line(&reason, MAX_WHY).map_err(|e| D::Error::custom(format_args!("the reason {e}")))?;
    if reason.trim().is_empty() {
        return Err(D::Error::custom(
            "the reason is empty; say in a few words what this is needed for",
        ));
    }
    Ok(reason)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and<T: Display>(items: &[T]) -> String {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        let before = match at {
            0 => "",
            _ if at + 1 == items.len() => " and ",
            _ => ", ",
        };
        text.push_str(before);
        text.push_str(&item.to_string());
    }
    text
}
