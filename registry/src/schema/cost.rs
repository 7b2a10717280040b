//! How many schemas a validator may have to check one value of an input against.
//!
//! Validators follow references without remembering what they have checked, so a few lines can
//! ask for more steps than there is time:
//!
//! - `a1 = {allOf: [a2, a2]}`, `a2 = {allOf: [a3, a3]}` … doubles with every line, on any value;
//! - `{properties: {a: #}, anyOf: [{properties: {a: #}}]}` doubles with every level of the input.
//!
//! A recursive schema as such is sound and common, such as a tree's: each node of the input is
//! checked once. So what is bounded is neither size nor recursion but the number of steps spent on
//! any *one* value, which bounds the whole check by (values in the input) × (this number).
//!
//! Let `S(s)` be the steps spent on a value by the schema `s` and all it applies to that very
//! value. Let `steps(s, d)` be those spent on any one value `d` levels below the one that `s`
//! checks. Then `steps(s, 0) = S(s)`, and one level further
//!
//! ```text
//! steps(s, d + 1) = max over k: sum of steps(t, d) over every t applied to the member k
//!                               by s, or by what s applies to the same value
//! ```
//!
//! where `k` is a name, an index, or any other. Different members are different values, which is
//! why it is the largest and not the sum. The choice is made anew at each level, so this counts too
//! much at worst. JSON nests at most [`DEPTH`] levels, and what can be reached usually repeats or
//! ends long before.
//!
//! A schema that comes back to itself on the same value has no such number, and says nothing that
//! it did not say before: it is refused.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SchemaError;
use super::graph::{Below, Graph, Id, Node};

/// The most schemas that one value of an input may be checked against.
pub const MAX_COST: u64 = 4096;

/// Levels of an input: the JSON parser takes no more.
const DEPTH: usize = 128;
/// Steps of this analysis: a real schema takes a few thousand.
const EFFORT: usize = 4_000_000;

/// The cost of a schema, 1 to [`MAX_COST`].
pub(super) fn of(schema: &Value) -> Result<u64, SchemaError> {
    let Graph { nodes } = Graph::of(schema)?;
    let order = inner_first(&nodes)?;
    let mut analysis = Analysis {
        nodes: &nodes,
        order: &order,
        effort: EFFORT,
    };
    let mut steps = analysis.on_the_value();
    let mut most = 0;
    for _ in 0..DEPTH {
        most = most.max(steps[0]);
        if most > MAX_COST {
            return Err(SchemaError::TooCostly);
        }
        let below = analysis.a_level_below(&steps)?;
        if below == steps {
            break;
        }
        steps = below;
    }
    Ok(most.max(1))
}

struct Analysis<'a> {
    nodes: &'a [Node],
    order: &'a [Id],
    effort: usize,
}

/// Steps by member or item: those with a name or index of their own, and the others.
#[derive(Clone, Default)]
struct Steps<'a> {
    others: u64,
    named: BTreeMap<&'a str, u64>,
}

impl<'a> Analysis<'a> {
    /// `steps(s, 0)` of every schema.
    fn on_the_value(&self) -> Vec<u64> {
        let mut steps = vec![0_u64; self.nodes.len()];
        for &id in self.order {
            let node = &self.nodes[id];
            steps[id] = node.weight.saturating_add(sum(&node.same, &steps));
        }
        steps
    }

    /// `steps(s, d + 1)` of every schema from `steps(s, d)`.
    fn a_level_below(&mut self, steps: &[u64]) -> Result<Vec<u64>, SchemaError> {
        let members = self.gathered(steps, |node| &node.members)?;
        let items = self.gathered(steps, |node| &node.items)?;
        Ok(members
            .iter()
            .zip(&items)
            .map(|(members, items)| members.most().max(items.most()))
            .collect())
    }

    /// For every schema what it and all it applies to the same value spend on each member.
    fn gathered(
        &mut self,
        steps: &[u64],
        below: impl Fn(&'a Node) -> &'a Below,
    ) -> Result<Vec<Steps<'a>>, SchemaError> {
        let mut gathered = vec![Steps::default(); self.nodes.len()];
        for &id in self.order {
            let node = &self.nodes[id];
            let mut all = Steps::own(below(node), steps);
            let mut effort = 1 + all.named.len();
            for &same in &node.same {
                all.add(&gathered[same]);
                effort += 1 + all.named.len();
            }
            self.effort = self
                .effort
                .checked_sub(effort)
                .ok_or(SchemaError::TooComplex)?;
            gathered[id] = all;
        }
        Ok(gathered)
    }
}

impl<'a> Steps<'a> {
    fn own(below: &'a Below, steps: &[u64]) -> Self {
        let every = sum(&below.every, steps);
        let named = below.named.iter();
        Self {
            others: every.saturating_add(sum(&below.others, steps)),
            named: named
                .map(|(name, ids)| (name.as_str(), every.saturating_add(sum(ids, steps))))
                .collect(),
        }
    }

    fn add(&mut self, other: &Self) {
        for (name, steps) in &mut self.named {
            let more = other.named.get(name).unwrap_or(&other.others);
            *steps = steps.saturating_add(*more);
        }
        for (name, more) in &other.named {
            let here = self.others;
            self.named
                .entry(name)
                .or_insert_with(|| here.saturating_add(*more));
        }
        self.others = self.others.saturating_add(other.others);
    }

    fn most(&self) -> u64 {
        self.named.values().copied().fold(self.others, u64::max)
    }
}

fn sum(ids: &[Id], steps: &[u64]) -> u64 {
    ids.iter().fold(0, |sum, &id| sum.saturating_add(steps[id]))
}

/// The nodes in an order in which whatever is applied to the same value comes first.
fn inner_first(nodes: &[Node]) -> Result<Vec<Id>, SchemaError> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; nodes.len()];
    let mut order = Vec::with_capacity(nodes.len());
    for start in 0..nodes.len() {
        if seen[start] != Seen::Not {
            continue;
        }
        // Each with how many of its own have been gone into: a stack, since chains can be long.
        seen[start] = Seen::Open;
        let mut open = vec![(start, 0)];
        while let Some((id, gone)) = open.pop() {
            let Some(&next) = nodes[id].same.get(gone) else {
                seen[id] = Seen::Done;
                order.push(id);
                continue;
            };
            open.push((id, gone + 1));
            match seen[next] {
                Seen::Done => {}
                Seen::Open => return Err(SchemaError::Circular),
                Seen::Not => {
                    seen[next] = Seen::Open;
                    open.push((next, 0));
                }
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `a0` to `a{n}`, each made from the reference to the next.
    fn chain(n: usize, link: impl Fn(Value) -> Value) -> Value {
        let mut defs = json!({ format!("a{n}"): {} });
        for i in 0..n {
            defs[format!("a{i}")] = link(json!({"$ref": format!("#/$defs/a{}", i + 1)}));
        }
        json!({"type": "object", "$ref": "#/$defs/a0", "$defs": defs})
    }

    #[test]
    fn what_people_write_is_cheap() {
        let tree = json!({
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "value": {"type": "integer"}},
            "additionalProperties": false,
        });
        let any_json = json!({"anyOf": [
            {"type": ["null", "boolean", "number", "string"]},
            {"type": "array", "items": {"$ref": "#"}},
            {"type": "object", "additionalProperties": {"$ref": "#"}},
        ]});
        let expression = json!({"oneOf": [
            {"properties": {"and": {"items": {"$ref": "#"}}}, "required": ["and"], "additionalProperties": false},
            {"properties": {"not": {"$ref": "#"}}, "required": ["not"], "additionalProperties": false},
        ]});
        let deep = chain(60, |next| json!({"properties": {"a": next, "b": next}}));
        let anchored = json!({
            "$dynamicAnchor": "node",
            "properties": {"next": {"$dynamicRef": "#node"}},
        });
        for (schema, most) in [
            (json!({"type": "object"}), 1),
            (tree, 2),
            (any_json, 8),
            (expression, 6),
            (deep, 3),
            (anchored, 2),
        ] {
            let cost = of(&schema).unwrap();
            assert!((1..=most).contains(&cost), "{cost}: {schema}");
        }
    }

    #[test]
    fn what_could_hang_is_refused() {
        let same = |next: Value| json!({"allOf": [next, {"properties": {}, "anyOf": [next]}]});
        let below = |next: Value| json!({"properties": {"a": next}, "allOf": [{"additionalProperties": next}]});
        let unevaluated = |next: Value| json!({"anyOf": [next], "unevaluatedProperties": false});
        let twice = json!({
            "properties": {"a": {"$ref": "#"}},
            "anyOf": [{"patternProperties": {"^a": {"$ref": "#"}}}],
        });
        // At the nth level of the input the kth of these is checked (n over k) times.
        let polynomial = {
            let mut defs = json!({"a9": {}});
            for i in 0..9 {
                defs[format!("a{i}")] = json!({"items": {"allOf": [
                    {"$ref": format!("#/$defs/a{i}")},
                    {"$ref": format!("#/$defs/a{}", i + 1)},
                ]}});
            }
            json!({"$ref": "#/$defs/a0", "$defs": defs})
        };
        let wide: Vec<u32> = (0..100_000).collect();
        for schema in [
            chain(40, same),
            chain(40, below),
            chain(40, unevaluated),
            twice,
            polynomial,
            json!({"enum": wide}),
        ] {
            let refusal = of(&schema).unwrap_err();
            assert!(matches!(refusal, SchemaError::TooCostly), "{refusal}");
        }
    }

    #[test]
    fn what_comes_back_to_the_same_value_is_refused() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"not": {"$ref": "#"}}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"if": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}),
        ] {
            assert!(
                matches!(of(&schema), Err(SchemaError::Circular)),
                "{schema}"
            );
        }
    }

    #[test]
    fn references_stay_inside() {
        let odd = json!({"$ref": "#/$defs/a~1b%25", "$defs": {"a/b%": {"$anchor": "here"}}, "not": {"$ref": "#here"}});
        assert_eq!(of(&odd).unwrap(), 4);
        for reference in [
            "",
            "#/none",
            "#none",
            "other",
            "https://example.com/a",
            "#%ff",
        ] {
            let refusal = of(&json!({ "$ref": reference })).unwrap_err();
            assert!(matches!(refusal, SchemaError::Reference(_)), "{refusal}");
        }
        for schema in [
            json!({"properties": {"a": {"$id": "https://example.com/"}}}),
            json!({"$ref": "#/$defs/a/b", "$defs": {"a": {"$id": "b", "b": {}}}}),
        ] {
            assert!(
                matches!(of(&schema), Err(SchemaError::EmbeddedId)),
                "{schema}"
            );
        }
    }
}
