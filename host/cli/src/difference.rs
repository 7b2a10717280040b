//! What a newer version of a capsule changes: what an operator agrees to.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use soma_capability::Capabilities;

use crate::asked::wishes;

/// One thing that differs between two versions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It says itself.
    Said(String),
    /// A text, of several lines perhaps, that was another one, or none.
    Text {
        what: String,
        old: Option<String>,
        new: Option<String>,
    },
}

/// What of a tool an agent reads.
const PARTS: [&str; 4] = ["description", "inputSchema", "outputSchema", "annotations"];

/// Every change between two versions, as a host describes them.
pub(crate) fn difference(old: &Value, new: &Value) -> Vec<Change> {
    let version = |of: &Value| of["version"].as_str().unwrap_or_default().to_owned();
    let versions = format!("version {} → {}", version(old), version(new));
    let mut changes = vec![Change::Said(versions)];
    if !old["signer"].is_null() && !new["signer"].is_null() {
        let name = |signer: &Value| {
            let part = |member: &str| signer[member].as_str().unwrap_or_default().to_owned();
            json!(format!("{}, {}", part("account"), part("key")))
        };
        let (was, is) = (name(&old["signer"]), name(&new["signer"]));
        changed("published by", &was, &is, &mut changes);
    }
    let part = "description";
    changed(part, &old[part], &new[part], &mut changes);
    asked(&old["capabilities"], &new["capabilities"], &mut changes);
    for part in ["limits", "imports"] {
        changed(part, &old[part], &new[part], &mut changes);
    }
    let (before, after) = (tools(old), tools(new));
    let mut names: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (what, was, is) = match (before.get(name), after.get(name)) {
            (Some(was), Some(is)) => (format!("tool {name}"), *was, *is),
            (Some(was), None) => (format!("tool {name}, gone"), *was, &Value::Null),
            (None, Some(is)) => (format!("tool {name}, new"), &Value::Null, *is),
            (None, None) => continue,
        };
        for part in PARTS {
            changed(
                &format!("{what}: {part}"),
                &was[part],
                &is[part],
                &mut changes,
            );
        }
    }
    changes
}

fn changed(what: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if old != new {
        let what = what.to_owned();
        let (old, new) = (text(old), text(new));
        changes.push(Change::Text { what, old, new });
    }
}

/// What is asked for, in words; as it is where that cannot be read.
fn asked(old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let read = |value: &Value| match value {
        Value::Null => Ok(Capabilities::default()),
        value => serde_json::from_value(value.clone()),
    };
    let (Ok(before), Ok(after)) = (read(old), read(new)) else {
        return changed("asks for", old, new, changes);
    };
    let (old, new) = (sentences(&before), sentences(&after));
    if old != new {
        let what = "asks for".to_owned();
        changes.push(Change::Text { what, old, new });
    }
}

/// A line for each thing that is asked for, and one for its author's words.
fn sentences(asked: &Capabilities) -> Option<String> {
    let lines = wishes(asked).into_iter().flat_map(|wish| {
        let why = wish.why.map(|why| format!("  {why}"));
        std::iter::once(wish.asks).chain(why)
    });
    let all: Vec<String> = lines.collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

fn tools(capsule: &Value) -> BTreeMap<&str, &Value> {
    let tools = capsule["tools"].as_array().into_iter().flatten();
    tools
        .filter_map(|tool| Some((tool["name"].as_str()?, tool)))
        .collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // A member a line, so that what is the same can be seen to be.
        other => Some(format!("{other:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_changes_and_nothing_else() {
        let tool = |name: &str, description: &str| json!({"name": name, "description": description, "inputSchema": {"type": "object"}});
        let old = json!({
            "version": "1.0.0", "description": "d", "imports": [], "digest": "x",
            "tools": [tool("a", "Reads."), tool("b", "b")],
        });
        let new = json!({
            "version": "1.1.0", "description": "d", "imports": ["i"], "digest": "y",
            "capabilities": {"http": [{
                "origin": "https://a.test", "methods": ["GET"], "paths": ["/"], "why": "To ask.",
            }]},
            "tools": [tool("a", "Reads and sends."), tool("c", "c")],
        });
        let text = |what: &str, old: Option<&str>, new: Option<&str>| Change::Text {
            what: what.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let schema = "{\n  \"type\": \"object\"\n}";
        let asks = "may send GET requests to https://a.test/\n  its author: \"To ask.\"";
        assert_eq!(
            difference(&old, &new),
            [
                Change::Said("version 1.0.0 → 1.1.0".to_owned()),
                text("asks for", None, Some(asks)),
                text("imports", Some("[]"), Some("[\n  \"i\"\n]")),
                text(
                    "tool a: description",
                    Some("Reads."),
                    Some("Reads and sends.")
                ),
                text("tool b, gone: description", Some("b"), None),
                text("tool b, gone: inputSchema", Some(schema), None),
                text("tool c, new: description", None, Some("c")),
                text("tool c, new: inputSchema", None, Some(schema)),
            ]
        );
    }
}
