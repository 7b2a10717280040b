//! References inside one schema: `#`, `#/a/json/pointer`, `#anchor`.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::SchemaError;

/// The places in a schema that have names.
pub(super) struct Anchors<'a> {
    root: &'a Value,
    named: HashMap<&'a str, Vec<&'a Value>>,
}

impl<'a> Anchors<'a> {
    pub(super) fn of(root: &'a Value) -> Self {
        let mut anchors = Self {
            root,
            named: HashMap::new(),
        };
        anchors.collect(root);
        anchors
    }

    /// Finds anchors wherever they are written, in an `enum` too: one too many costs a refusal at
    /// worst, one too few would be a hole.
    fn collect(&mut self, value: &'a Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(members) => {
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(name) = members.get(key).and_then(Value::as_str) {
                        self.named.entry(name).or_default().push(value);
                    }
                }
                members.values().for_each(|member| self.collect(member));
            }
            _ => {}
        }
    }

    /// Every schema that a reference could mean. Nothing but what is in the schema itself.
    pub(super) fn resolve(&self, reference: &str) -> Result<Vec<&'a Value>, SchemaError> {
        let nothing = || SchemaError::Reference(reference.chars().take(200).collect());
        let fragment = reference.strip_prefix('#').ok_or_else(nothing)?;
        let fragment = percent_decode_str(fragment)
            .decode_utf8()
            .map_err(|_| nothing())?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return self.named.get(&*fragment).cloned().ok_or_else(nothing);
        }
        let mut target = self.root;
        for segment in fragment.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let next = match target {
                Value::Object(members) => members.get(&name),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            target = next.ok_or_else(nothing)?;
            self.refuse_id(target)?;
        }
        Ok(vec![target])
    }

    /// A schema with an `$id` gives the references in and below it another base.
    pub(super) fn refuse_id(&self, schema: &Value) -> Result<(), SchemaError> {
        let inside = !std::ptr::eq(schema, self.root);
        if inside && schema.get("$id").is_some_and(Value::is_string) {
            return Err(SchemaError::EmbeddedId);
        }
        Ok(())
    }
}
