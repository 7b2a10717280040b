//! What a newer version of a capsule changes, in sentences: what an operator agrees to.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use soma_capability::Capabilities;

/// Every change between two versions, as a host describes them.
pub(crate) fn difference(old: &Value, new: &Value) -> Vec<String> {
    let mut changes = vec![format!(
        "version {} → {}",
        text(&old["version"]),
        text(&new["version"])
    )];
    if !old["signer"].is_null() && !new["signer"].is_null() {
        let name = |signer: &Value| {
            json!(format!(
                "{}, {}",
                text(&signer["account"]),
                text(&signer["key"])
            ))
        };
        let (was, is) = (name(&old["signer"]), name(&new["signer"]));
        changed("published by", &was, &is, &mut changes);
    }
    changed(
        "description",
        &old["description"],
        &new["description"],
        &mut changes,
    );
    asked(&old["capabilities"], &new["capabilities"], &mut changes);
    for part in ["limits", "imports"] {
        changed(part, &old[part], &new[part], &mut changes);
    }
    let (before, after) = (tools(old), tools(new));
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changes.push(format!("tool {name}: gone"));
    }
    for (name, tool) in &after {
        let Some(was) = before.get(name) else {
            changes.push(format!("tool {name}: new: {}", text(&tool["description"])));
            continue;
        };
        for part in ["description", "inputSchema", "outputSchema", "annotations"] {
            changed(
                &format!("tool {name}: {part}"),
                &was[part],
                &tool[part],
                &mut changes,
            );
        }
    }
    changes
}

fn changed(what: &str, old: &Value, new: &Value, changes: &mut Vec<String>) {
    if old == new {
        return;
    }
    changes.push(format!("{what}:"));
    changes.push(format!("  - {}", text(old)));
    changes.push(format!("  + {}", text(new)));
}

/// What is asked for, in words; as it is where that cannot be read.
fn asked(old: &Value, new: &Value, changes: &mut Vec<String>) {
    let read = |value: &Value| match value {
        Value::Null => Ok(Capabilities::default()),
        value => serde_json::from_value(value.clone()),
    };
    let (Ok(before), Ok(after)) = (read(old), read(new)) else {
        return changed("capabilities", old, new, changes);
    };
    let (before, after) = (sentences(&before), sentences(&after));
    for gone in before.iter().filter(|it| !after.contains(it)) {
        changes.push(format!("asks no more: {gone}"));
    }
    for come in after.iter().filter(|it| !before.contains(it)) {
        changes.push(format!("asks anew: {come}"));
    }
}

fn sentences(asked: &Capabilities) -> Vec<String> {
    let all = asked.sentences();
    let all = all.into_iter().map(|sentence| match sentence.why {
        Some(why) => format!("{} ({why})", sentence.asks),
        None => sentence.asks,
    });
    all.collect()
}

fn tools(capsule: &Value) -> BTreeMap<&str, &Value> {
    let tools = capsule["tools"].as_array().into_iter().flatten();
    tools
        .filter_map(|tool| Some((tool["name"].as_str()?, tool)))
        .collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
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
            "version": "1.1.0", "description": "d", "imports": [], "digest": "y",
            "capabilities": {"http": [{
                "origin": "https://a.test", "methods": ["GET"], "paths": ["/"], "why": "To ask.",
            }]},
            "tools": [tool("a", "Reads and sends."), tool("c", "c")],
        });
        assert_eq!(
            difference(&old, &new),
            [
                "version 1.0.0 → 1.1.0",
                "asks anew: may send GET requests to https://a.test/ (To ask.)",
                "tool b: gone",
                "tool a: description:",
                "  - Reads.",
                "  + Reads and sends.",
                "tool c: new: c",
            ]
        );
    }
}
