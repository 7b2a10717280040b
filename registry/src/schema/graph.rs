//! A schema as a graph: which schemas are applied to the same value, which to its members and
//! items.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::reference::Anchors;
use super::{SchemaError, is_draft};

/// The index of a node.
pub(super) type Id = usize;

/// Keywords whose value is one schema for the same value.
const SAME_ONE: [&str; 4] = ["not", "if", "then", "else"];
/// Keywords whose value is a list of them.
const SAME_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords whose value is an object of them. The second is of older drafts.
const SAME_MAP: [&str; 2] = ["dependentSchemas", "dependencies"];
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Values of `enum` and the like that take about as long as one schema.
const CHEAP: u64 = 16;

/// Every schema that can be reached from the top, which is the first node.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
}

/// One schema, checked; or one whose members are found out for an `unevaluated…` above it, which
/// looks at the same schemas once more.
#[derive(Default)]
pub(super) struct Node {
    /// Steps that it takes by itself.
    pub(super) weight: u64,
    /// Schemas applied to the same value.
    pub(super) same: Vec<Id>,
    /// Schemas applied to members of an object.
    pub(super) members: Below,
    /// Schemas applied to items of an array.
    pub(super) items: Below,
}

/// The schemas for what is directly inside a value.
#[derive(Default)]
pub(super) struct Below {
    /// For everything.
    pub(super) every: Vec<Id>,
    /// For what has no entry in `named`.
    pub(super) others: Vec<Id>,
    /// For one member, or for the item with this index.
    pub(super) named: BTreeMap<String, Vec<Id>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Mode {
    Check,
    Mark,
}

/// Where a value is in memory names it: the schema does not move while it is looked through.
type Key = (*const Value, Mode);

struct Builder<'a> {
    anchors: Anchors<'a>,
    ids: HashMap<Key, Id>,
    /// Found, not yet looked into.
    found: Vec<(&'a Value, Mode)>,
}

impl Graph {
    pub(super) fn of(root: &Value) -> Result<Self, SchemaError> {
        let mut builder = Builder {
            anchors: Anchors::of(root),
            ids: HashMap::new(),
            found: Vec::new(),
        };
        builder.id(root, Mode::Check);
        let mut nodes = Vec::new();
        // `found` grows while it is walked.
        while let Some(&(schema, mode)) = builder.found.get(nodes.len()) {
            nodes.push(builder.node(schema, mode)?);
        }
        Ok(Self { nodes })
    }
}

impl<'a> Builder<'a> {
    fn id(&mut self, schema: &'a Value, mode: Mode) -> Id {
        let found = &mut self.found;
        *self.ids.entry((schema, mode)).or_insert_with(|| {
            found.push((schema, mode));
            found.len() - 1
        })
    }

    fn check(&mut self, schemas: impl IntoIterator<Item = &'a Value>) -> Vec<Id> {
        let schemas = schemas.into_iter();
        schemas.map(|schema| self.id(schema, Mode::Check)).collect()
    }

    fn node(&mut self, schema: &'a Value, mode: Mode) -> Result<Node, SchemaError> {
        let Value::Object(keywords) = schema else {
            return Ok(Node {
                weight: 1,
                ..Node::default()
            });
        };
        self.anchors.refuse_id(schema)?;
        let dialect = keywords.get("$schema").and_then(Value::as_str);
        if dialect.is_some_and(|dialect| !is_draft(dialect)) {
            return Err(SchemaError::Dialect);
        }
        let applied = self.applied(keywords)?;
        let mut same = self.check(applied.iter().copied());
        let unevaluated = ["unevaluatedProperties", "unevaluatedItems"];
        if mode == Mode::Mark {
            same.extend(applied.iter().map(|schema| self.id(schema, Mode::Mark)));
        } else {
            // Each of the two goes through everything applied to the same value once more.
            for keyword in unevaluated {
                if keywords.contains_key(keyword) {
                    same.push(self.id(schema, Mode::Mark));
                }
            }
        }
        let (members, items) = match mode {
            Mode::Check => (self.members(keywords), self.items(keywords)),
            Mode::Mark => self.marked(keywords),
        };
        Ok(Node {
            weight: weight(keywords),
            same,
            members,
            items,
        })
    }

    /// What is applied to the same value.
    fn applied(&self, keywords: &'a Map<String, Value>) -> Result<Vec<&'a Value>, SchemaError> {
        let mut applied: Vec<&Value> = Vec::new();
        applied.extend(SAME_ONE.iter().filter_map(|k| keywords.get(*k)));
        applied.extend(SAME_LIST.iter().flat_map(|k| list(keywords, k)));
        applied.extend(
            SAME_MAP
                .iter()
                .flat_map(|k| map(keywords, k).map(|(_, v)| v)),
        );
        for keyword in REFERENCES {
            if let Some(reference) = keywords.get(keyword).and_then(Value::as_str) {
                applied.extend(self.anchors.resolve(reference)?);
            }
        }
        Ok(applied)
    }

    fn members(&mut self, keywords: &'a Map<String, Value>) -> Below {
        let named = map(keywords, "properties");
        let one = |keyword: &str| keywords.get(keyword);
        Below {
            every: {
                let patterns = map(keywords, "patternProperties").map(|(_, schema)| schema);
                self.check(patterns.chain(one("propertyNames")))
            },
            others: self.check(
                one("additionalProperties")
                    .into_iter()
                    .chain(one("unevaluatedProperties")),
            ),
            named: named
                .map(|(name, schema)| (name.clone(), self.check([schema])))
                .collect(),
        }
    }

    fn items(&mut self, keywords: &'a Map<String, Value>) -> Below {
        // A list in `items`, and what goes with it, is of older drafts.
        let first = list(keywords, "prefixItems").chain(list(keywords, "items"));
        let rest = ["items", "additionalItems", "unevaluatedItems"];
        let rest = rest.iter().filter_map(|keyword| keywords.get(*keyword));
        Below {
            every: self.check(keywords.get("contains")),
            others: self.check(rest.filter(|schema| !schema.is_array())),
            named: first
                .enumerate()
                .map(|(index, schema)| (index.to_string(), self.check([schema])))
                .collect(),
        }
    }

    /// What finding out the evaluated members and items looks at, besides schemas for the same
    /// value.
    fn marked(&mut self, keywords: &'a Map<String, Value>) -> (Below, Below) {
        let mut every = |keys: &[&str]| Below {
            every: self.check(keys.iter().filter_map(|key| keywords.get(*key))),
            ..Below::default()
        };
        (
            every(&["unevaluatedProperties"]),
            every(&["contains", "unevaluatedItems"]),
        )
    }
}

fn weight(keywords: &Map<String, Value>) -> u64 {
    let compared = ["enum", "const", "required", "dependentRequired"];
    let compared = compared.iter().filter_map(|keyword| keywords.get(*keyword));
    let looked_up = map(keywords, "properties").count() as u64;
    1 + (compared.map(values).sum::<u64>() + looked_up) / CHEAP
}

/// How many JSON values there are in one.
fn values(value: &Value) -> u64 {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

fn list<'a>(keywords: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    let list = keywords.get(keyword).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn map<'a>(
    keywords: &'a Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let map = keywords.get(keyword).and_then(Value::as_object);
    map.into_iter().flatten()
}
