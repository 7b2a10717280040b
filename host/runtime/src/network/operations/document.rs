//! The root fields of GraphQL documents.

use std::collections::{BTreeSet, HashMap, HashSet};

use apollo_parser::cst::{
    CstNode as _, Definition, Document, OperationDefinition, Selection, SelectionSet,
};
use apollo_parser::{Lexer, Parser, TokenKind};
use soma_capability::{GraphqlKind, Operation};

use super::{MOST_OPERATIONS, Unread, malformed};

/// Levels of selections and values within each other.
const MOST_LEVELS: usize = 64;
/// Tokens of one request's documents together, spaces among them.
const MOST_TOKENS: usize = 20_000;

/// Reads one document after another, and collects what is in any of them.
pub(super) struct Reader {
    pub(super) found: BTreeSet<Operation>,
    tokens_left: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            found: BTreeSet::new(),
            tokens_left: MOST_TOKENS,
        }
    }
}

impl Reader {
    /// The root fields of every operation in it, whichever `operationName` chooses and whatever
    /// `@skip` says of them.
    pub(super) fn document(&mut self, text: &str) -> Result<(), Unread> {
        if let Some(odd) = text.chars().find(|&c| is_ambiguous(c)) {
            let code = u32::from(odd);
            return Err(malformed(format!(
                "the document has U+{code:04X} in it, which belongs into a variable"
            )));
        }
        let tree = Parser::new(text)
            .recursion_limit(MOST_LEVELS)
            .token_limit(self.tokens_left)
            .parse();
        if let Some(error) = tree.errors().next() {
            let words: String = error.message().chars().take(200).collect();
            return Err(malformed(format!("the document: {words}")));
        }
        if breaks_a_string(text) {
            return Err(malformed("the document has a line break in a string"));
        }
        // All of it, or something at its end was not read.
        if tree.document().syntax().text() != text {
            return Err(incomplete());
        }
        self.tokens_left = self.tokens_left.saturating_sub(tree.token_limit().high);
        let (operations, fragments) = definitions(&tree.document())?;
        let mut spread = HashSet::new();
        for operation in operations {
            self.operation(&operation, &fragments, &mut spread)?;
        }
        Ok(())
    }

    /// Each fragment is looked into once for each kind of operation, however often it is spread.
    fn operation(
        &mut self,
        operation: &OperationDefinition,
        fragments: &HashMap<String, SelectionSet>,
        spread: &mut HashSet<(GraphqlKind, String)>,
    ) -> Result<(), Unread> {
        let kind = match operation.operation_type() {
            None => GraphqlKind::Query,
            Some(it) if it.query_token().is_some() => GraphqlKind::Query,
            Some(it) if it.mutation_token().is_some() => GraphqlKind::Mutation,
            Some(it) if it.subscription_token().is_some() => GraphqlKind::Subscription,
            Some(_) => return Err(incomplete()),
        };
        let mut open = vec![operation.selection_set().ok_or_else(incomplete)?];
        while let Some(set) = open.pop() {
            for selection in set.selections() {
                match selection {
                    // By its own name, whatever its alias.
                    Selection::Field(field) => {
                        let name = field.name().ok_or_else(incomplete)?.text().to_string();
                        self.field(kind, &name)?;
                    }
                    Selection::InlineFragment(inline) => {
                        open.push(inline.selection_set().ok_or_else(incomplete)?);
                    }
                    Selection::FragmentSpread(it) => {
                        let name = it.fragment_name().and_then(|it| it.name());
                        let name = name.ok_or_else(incomplete)?.text().to_string();
                        let fragment = fragments.get(&name);
                        let fragment = fragment
                            .ok_or_else(|| malformed("the document spreads what is not in it"))?;
                        if spread.insert((kind, name)) {
                            open.push(fragment.clone());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, kind: GraphqlKind, name: &str) -> Result<(), Unread> {
        let operation = format!("{} {name}", kind.as_str()).parse();
        let operation = operation.map_err(|_| malformed("a field's name is too long"))?;
        self.found.insert(operation);
        if self.found.len() > MOST_OPERATIONS {
            return Err(malformed(format!(
                "it has more than {MOST_OPERATIONS} operations"
            )));
        }
        Ok(())
    }
}

/// Characters at which one server's comment ends and another's goes on, or that some drop.
fn is_ambiguous(c: char) -> bool {
    let is_odd = matches!(
        c,
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFD}'
    );
    is_odd || c.is_control() && !matches!(c, '\t' | '\n' | '\r')
}

/// Whether a line ends within a string that is none of several lines. The parser takes one that begins
/// with a line break; for servers it is no string.
fn breaks_a_string(text: &str) -> bool {
    Lexer::new(text).flatten().any(|token| {
        token.kind() == TokenKind::StringValue
            && !token.data().starts_with("\"\"\"")
            && token.data().contains(['\n', '\r'])
    })
}

/// No server has a document of this kind.
fn incomplete() -> Unread {
    malformed("the document is incomplete")
}

type Definitions = (Vec<OperationDefinition>, HashMap<String, SelectionSet>);

fn definitions(document: &Document) -> Result<Definitions, Unread> {
    let mut operations = Vec::new();
    let mut fragments = HashMap::new();
    for definition in document.definitions() {
        match definition {
            Definition::OperationDefinition(operation) => operations.push(operation),
            Definition::FragmentDefinition(fragment) => {
                let name = fragment.fragment_name().and_then(|it| it.name());
                let name = name.ok_or_else(incomplete)?.text().to_string();
                let set = fragment.selection_set().ok_or_else(incomplete)?;
                if fragments.insert(name, set).is_some() {
                    return Err(malformed("the document has a fragment twice"));
                }
            }
            _ => return Err(malformed("the document defines types")),
        }
    }
    if operations.is_empty() {
        return Err(malformed("the document has no operation"));
    }
    Ok((operations, fragments))
}
