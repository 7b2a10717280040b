//! Operations, where one path has many: root fields of GraphQL, actions of AWS's services.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::list;
use crate::as_text::as_text;

/// The most operations in one entry, of a manifest or a grant.
pub const MAX_OPERATIONS: usize = 128;
const MAX_NAME: usize = 128;
/// Where AWS's services are.
const AWS_DOMAINS: [&str; 3] = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"];

/// What a request has a server do, where its path does not say it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Operation {
    /// A root field of GraphQL, as in `query issues`; `query *` is every query.
    Graphql(GraphqlKind, String),
    /// An action of a service of AWS, as in `DescribeInstances` or, where `X-Amz-Target` says it,
    /// `DynamoDB_20120810.GetItem`.
    Aws(String),
}

/// The three kinds of operation of GraphQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GraphqlKind {
    /// Reads.
    Query,
    /// Changes something.
    Mutation,
    /// Reads for as long as the connection stands.
    Subscription,
}

/// How a request says which operations it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// GraphQL over HTTP.
    Graphql,
    /// AWS's Query and JSON protocols.
    Aws,
}

/// Why a text is no operation, or several cannot stand beside each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// Neither of the two forms.
    #[error(
        "`{0}` is no operation: write `query FIELD`, `mutation FIELD` or `subscription FIELD` for \
         GraphQL, with `*` for every field, or the name of an action of AWS"
    )]
    Form(String),
    /// A server speaks one of the two.
    #[error("operations are either GraphQL's or AWS's, in one entry")]
    Mixed,
    /// One of a list is there already.
    #[error("`{0}` is there twice")]
    Twice(Operation),
    /// None, or too many.
    #[error("here are {0} operations; 1 to {MAX_OPERATIONS} are allowed")]
    Count(usize),
}

impl Protocol {
    /// What is spoken at a place that is known for it: a path that ends in `/graphql`, or the root
    /// of a service of AWS.
    pub fn at(host: &str, path: &str) -> Option<Self> {
        let path = path.strip_suffix("/**").unwrap_or(path);
        let is_aws = AWS_DOMAINS.iter().any(|domain| host.ends_with(domain));
        if path.trim_end_matches('/').ends_with("/graphql") {
            return Some(Self::Graphql);
        }
        (is_aws && matches!(path, "" | "/")).then_some(Self::Aws)
    }
}

impl Operation {
    /// How it is said.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Graphql(..) => Protocol::Graphql,
            Self::Aws(_) => Protocol::Aws,
        }
    }

    /// Whether this is the other one, or stands for it.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Graphql(mine, field), Self::Graphql(theirs, _)) if field == "*" => {
                mine == theirs
            }
            _ => self == other,
        }
    }
}

/// Whether each of `theirs` is one of `mine`; none named are all.
pub(crate) fn covers(mine: Option<&[Operation]>, theirs: Option<&[Operation]>) -> bool {
    match (mine, theirs) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(mine), Some(theirs)) => theirs
            .iter()
            .all(|their| mine.iter().any(|my| my.covers(their))),
    }
}

/// Whether a place hides many operations, none of which are named.
pub(crate) fn hides<'a>(
    host: &str,
    mut paths: impl Iterator<Item = &'a super::PathTemplate>,
    named: Option<&[Operation]>,
) -> bool {
    named.is_none() && paths.any(|path| Protocol::at(host, &path.to_string()).is_some())
}

/// Operations that can stand in one entry.
pub(crate) fn checked(operations: Vec<Operation>) -> Result<Vec<Operation>, OperationError> {
    if !(1..=MAX_OPERATIONS).contains(&operations.len()) {
        return Err(OperationError::Count(operations.len()));
    }
    for (at, operation) in operations.iter().enumerate() {
        let before = &operations[..at];
        if before.contains(operation) {
            return Err(OperationError::Twice(operation.clone()));
        }
        if before
            .iter()
            .any(|it| it.protocol() != operation.protocol())
        {
            return Err(OperationError::Mixed);
        }
    }
    Ok(operations)
}

pub(crate) fn operations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<Operation>>, D::Error> {
    let operations = list::of(deserializer, "operations", MAX_OPERATIONS)?;
    checked(operations).map(Some).map_err(D::Error::custom)
}

impl GraphqlKind {
    const ALL: [Self; 3] = [Self::Query, Self::Mutation, Self::Subscription];

    /// As it is written in a document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl FromStr for Operation {
    type Err = OperationError;

    fn from_str(text: &str) -> Result<Self, OperationError> {
        let form = || OperationError::Form(super::shown(text));
        let Some((kind, field)) = text.split_once(' ') else {
            let is_kind = GraphqlKind::ALL.iter().any(|kind| kind.as_str() == text);
            let is_action = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            let well_formed = !is_kind
                && text.len() <= MAX_NAME
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(is_action);
            return match well_formed {
                true => Ok(Self::Aws(text.to_owned())),
                false => Err(form()),
            };
        };
        let kind = GraphqlKind::ALL.into_iter().find(|it| it.as_str() == kind);
        let kind = kind.ok_or_else(form)?;
        let is_name = field.len() <= MAX_NAME
            && field.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && field
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if is_name || field == "*" {
            return Ok(Self::Graphql(kind, field.to_owned()));
        }
        Err(form())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graphql(kind, field) => write!(f, "{} {field}", kind.as_str()),
            Self::Aws(action) => f.write_str(action),
        }
    }
}

as_text!(Operation, OperationError);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Operation {
        text.parse().unwrap()
    }

    #[test]
    fn one_form_for_each() {
        for text in [
            "query issues",
            "mutation issueCreate",
            "subscription _events2",
            "query *",
            "query __schema",
            "DescribeInstances",
            "DynamoDB_20120810.GetItem",
        ] {
            assert_eq!(read(text).to_string(), text);
        }
        let long = format!("query {}", "a".repeat(MAX_NAME + 1));
        for bad in [
            "",
            " ",
            "query",
            "query ",
            "query  a",
            "Query a",
            "query a b",
            "query a*",
            "query a-b",
            "query 2a",
            "query ä",
            "fragment a",
            "* a",
            "*",
            "Describe*",
            "2a",
            "a/b",
            "a\nb",
            &long,
        ] {
            let refused = bad.parse::<Operation>();
            assert!(matches!(refused, Err(OperationError::Form(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_covers_what() {
        let covers = |wide: &str, narrow: &str| read(wide).covers(&read(narrow));
        assert!(covers("query a", "query a"));
        assert!(covers("query *", "query a"));
        assert!(covers("query *", "query *"));
        for (wide, narrow) in [
            ("query a", "query b"),
            ("query a", "query *"),
            ("query *", "mutation a"),
            ("query a", "mutation a"),
            ("query *", "DescribeInstances"),
            ("DescribeInstances", "TerminateInstances"),
        ] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
        let some = [read("query a"), read("query b")];
        assert!(super::covers(None, Some(&some)));
        assert!(super::covers(Some(&some), Some(&some[1..])));
        assert!(!super::covers(Some(&some[1..]), Some(&some)));
        assert!(!super::covers(Some(&some), None));
    }

    #[test]
    fn places_that_are_known_to_hide_operations() {
        for (host, path, protocol) in [
            ("api.github.com", "/graphql", Some(Protocol::Graphql)),
            ("a.test", "/api/graphql/", Some(Protocol::Graphql)),
            ("a.test", "/graphql/**", Some(Protocol::Graphql)),
            ("a.test", "/graphqls", None),
            ("a.test", "/graphql/schema", None),
            ("ec2.eu-1.amazonaws.com", "/", Some(Protocol::Aws)),
            ("*.eu-1.amazonaws.com", "/**", Some(Protocol::Aws)),
            ("b.s3.amazonaws.com", "/key", None),
            ("amazonaws.com.test", "/", None),
            ("a.test", "/**", None),
        ] {
            assert_eq!(Protocol::at(host, path), protocol, "{host}{path}");
        }
    }

    #[test]
    fn a_list_is_of_one_kind_and_without_doubles() {
        let list = |texts: &[&str]| checked(texts.iter().map(|text| read(text)).collect());
        assert!(list(&["query a", "mutation a"]).is_ok());
        assert_eq!(list(&["query a", "GetItem"]), Err(OperationError::Mixed));
        let twice = OperationError::Twice(read("query a"));
        assert_eq!(list(&["query a", "query a"]), Err(twice));
        assert_eq!(list(&[]), Err(OperationError::Count(0)));
    }
}
