//! A tool as it is described to people and models.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One tool of a capsule. Serialises in the field names of MCP's `Tool`, so that the same JSON
/// serves clients of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tool {
    /// 1–64 characters of `a-z`, `A-Z`, `0-9`, `_`, `-`; unique within the capsule.
    pub name: String,
    /// For people, in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// For the model that chooses.
    pub description: String,
    /// JSON Schema 2020-12 of the input.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the structured output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What the author says about its effects.
    pub annotations: Annotations,
}

/// The author's claims about a tool's effects, under MCP's names. The host enforces grants and
/// limits whatever they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent claims, as MCP names them"
)]
pub struct Annotations {
    /// Changes nothing outside the call.
    #[serde(rename = "readOnlyHint")]
    pub read_only: bool,
    /// May delete or overwrite.
    #[serde(rename = "destructiveHint")]
    pub destructive: bool,
    /// Calling twice has the effect of calling once.
    #[serde(rename = "idempotentHint")]
    pub idempotent: bool,
    /// Talks to systems outside the host.
    #[serde(rename = "openWorldHint")]
    pub open_world: bool,
}

impl Tool {
    /// Whether a text may name a tool.
    pub fn is_name(text: &str) -> bool {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
}
