//! What a capsule's tools must be before they are shown to anyone.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use soma_capability::Tool;

use crate::schema::{self, MAX_PATTERNS, Schema, SchemaError};
use crate::text::{self, TextError};

/// The most tools one capsule may offer.
pub const MAX_TOOLS: usize = 64;

const MAX_TITLE: usize = 128;
const MAX_DESCRIPTION: usize = 8 * 1024;
const MAX_SCHEMA_TEXT: usize = 8 * 1024;

/// Why a capsule's tools are refused.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// None, or more than [`MAX_TOOLS`].
    #[error("a capsule offers 1 to {MAX_TOOLS} tools, and this one offers {0}")]
    Number(usize),
    /// A name breaks the rules.
    #[error("`{0}` cannot name a tool: 1 to 64 characters of a-z, A-Z, 0-9, `_` and `-`")]
    Name(String),
    /// Two tools have one name.
    #[error("two tools are called `{0}`")]
    Duplicate(String),
    /// More than [`MAX_PATTERNS`] in all the schemas.
    #[error("the schemas have {0} patterns together; at most {MAX_PATTERNS} are allowed")]
    Patterns(usize),
    /// A text that may not be shown.
    #[error("tool `{tool}`: {place} {error}")]
    Text {
        /// The tool.
        tool: String,
        /// SchemaKind of its texts: `title`, `description`, or a place in a schema.
        place: String,
        /// What is wrong with it.
        error: TextError,
    },
    /// A schema that cannot be used.
    #[error("tool `{tool}`: the {which} schema {problem}")]
    Schema {
        /// The tool.
        tool: String,
        /// SchemaKind of its schemas.
        which: SchemaKind,
        /// What is wrong with it.
        problem: SchemaError,
    },
}

/// One of a tool's two schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaKind {
    /// Of the input.
    Input,
    /// Of the structured output.
    Output,
}

impl std::fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// Checks names, texts and schemas of all the tools. Gives their input schemas, compiled.
pub(crate) fn check(tools: &[Tool]) -> Result<Vec<Arc<Schema>>, ToolsError> {
    if !(1..=MAX_TOOLS).contains(&tools.len()) {
        return Err(ToolsError::Number(tools.len()));
    }
    let schemas = tools.iter().flat_map(|tool| {
        let output = tool.output_schema.as_ref();
        std::iter::once(&tool.input_schema).chain(output)
    });
    let patterns = schemas.map(schema::patterns).sum();
    if patterns > MAX_PATTERNS {
        return Err(ToolsError::Patterns(patterns));
    }
    let mut names = BTreeSet::new();
    let mut compiled = Vec::with_capacity(tools.len());
    for tool in tools {
        if !Tool::is_name(&tool.name) {
            let shown = tool
                .name
                .chars()
                .take(80)
                .flat_map(char::escape_debug)
                .collect();
            return Err(ToolsError::Name(shown));
        }
        if !names.insert(&tool.name) {
            return Err(ToolsError::Duplicate(tool.name.clone()));
        }
        check_texts(tool)?;
        let input = check_schema(tool, SchemaKind::Input, &tool.input_schema)?;
        if let Some(schema) = &tool.output_schema {
            check_schema(tool, SchemaKind::Output, schema)?;
        }
        compiled.push(Arc::new(input));
    }
    Ok(compiled)
}

fn check_texts(tool: &Tool) -> Result<(), ToolsError> {
    let refuse = |place: &str, error| ToolsError::Text {
        tool: tool.name.clone(),
        place: place.to_owned(),
        error,
    };
    if let Some(title) = &tool.title {
        text::line(title, MAX_TITLE).map_err(|e| refuse("the title", e))?;
    }
    text::prose(&tool.description, MAX_DESCRIPTION).map_err(|e| refuse("the description", e))
}

fn check_schema(tool: &Tool, which: SchemaKind, schema: &Value) -> Result<Schema, ToolsError> {
    check_schema_texts(schema).map_err(|error| ToolsError::Text {
        tool: tool.name.clone(),
        place: format!("a text in the {which} schema"),
        error,
    })?;
    let refuse = |problem| ToolsError::Schema {
        tool: tool.name.clone(),
        which,
        problem,
    };
    if which == SchemaKind::Input && schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(refuse(SchemaError::NotObject));
    }
    Schema::compile(schema).map_err(refuse)
}

/// Models read schemas too: every key and every string in one is held to the rules of prose.
fn check_schema_texts(schema: &Value) -> Result<(), TextError> {
    match schema {
        Value::String(text) => text::prose(text, MAX_SCHEMA_TEXT),
        Value::Array(items) => items.iter().try_for_each(check_schema_texts),
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            text::prose(key, MAX_SCHEMA_TEXT)?;
            check_schema_texts(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use soma_capability::Annotations;

    use crate::schema::DRAFT;

    fn tool() -> Tool {
        Tool {
            name: "greet".to_owned(),
            title: Some("Greet".to_owned()),
            description: "Greets someone by name.".to_owned(),
            input_schema: json!({"$schema": DRAFT, "type": "object", "properties": {"name": {"type": "string"}}}),
            output_schema: Some(json!({"type": "string"})),
            annotations: Annotations::default(),
        }
    }

    fn refusal(change: impl FnOnce(&mut Tool)) -> String {
        let mut changed = tool();
        change(&mut changed);
        check(&[changed]).unwrap_err().to_string()
    }

    #[test]
    fn takes_a_sound_tool_and_says_what_is_unsound() {
        check(&[tool()]).unwrap();
        for (message, part) in [
            (check(&[]).unwrap_err().to_string(), "offers 0"),
            (
                check(&vec![tool(); 65]).unwrap_err().to_string(),
                "offers 65",
            ),
            (
                check(&[tool(), tool()]).unwrap_err().to_string(),
                "two tools are called `greet`",
            ),
            (
                refusal(|t| t.name = "a b\n".to_owned()),
                "`a b\\n` cannot name a tool",
            ),
            (
                refusal(|t| t.title = Some("a\u{202e}b".to_owned())),
                "title has the bidirectional",
            ),
            (
                refusal(|t| t.description = "\x1b[2J".to_owned()),
                "description has the control",
            ),
            (
                refusal(|t| t.input_schema = json!(true)),
                "\"type\": \"object\"",
            ),
            (
                refusal(|t| t.input_schema = json!({"type": "string"})),
                "\"type\": \"object\"",
            ),
            (
                refusal(|t| t.input_schema["properties"]["\u{200b}"] = json!(true)),
                "a text in the input schema has",
            ),
            (
                refusal(|t| t.input_schema["properties"]["name"] = json!({"type": "text"})),
                "at /properties/name/type",
            ),
            (
                refusal(|t| t.input_schema["$ref"] = json!("https://example.com/a")),
                "example.com",
            ),
            (
                refusal(|t| {
                    t.input_schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
                }),
                "names a dialect",
            ),
            (
                refusal(|t| t.output_schema = Some(json!({"pattern": "(?=a)b"}))),
                "output schema is not usable",
            ),
            (
                refusal(|t| t.output_schema = Some(json!({"pattern": "("}))),
                "output schema is not usable",
            ),
            (
                refusal(|t| t.output_schema = Some(json!({"pattern": r"(\p{L}{50}){3}"}))),
                "output schema is not usable",
            ),
            (
                refusal(|t| {
                    let pattern = |n: usize| json!({ "pattern": format!("^{n}$") });
                    let all = (0..=MAX_PATTERNS).map(pattern).collect();
                    t.output_schema = Some(json!({ "anyOf": Value::Array(all) }));
                }),
                "257 patterns",
            ),
            (
                refusal(|t| t.input_schema["allOf"] = json!([{"$ref": "#"}])),
                "tool `greet`: the input schema has a part that refers back",
            ),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}
