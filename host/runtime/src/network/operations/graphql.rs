//! The documents of a GraphQL request (GraphQL over HTTP), and what they have in them.

use std::collections::BTreeSet;
use std::fmt;

use http::Method;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use soma_capability::Operation;

use super::document::Reader;
use super::{Sent, Unread, malformed, media_type, pairs};

/// A request's parameters; more than these no server should know.
#[derive(Default)]
struct Parameters {
    query: Option<String>,
    operation_name: bool,
    variables: bool,
    extensions: Option<Extensions>,
}

/// What goes along for servers that know of it.
#[derive(Default)]
struct Extensions {
    /// A document that the server knows by its hash: that one counts then, on some servers whatever
    /// else is said.
    has_persisted: bool,
}

pub(super) fn read(sent: &Sent<'_>) -> Result<BTreeSet<Operation>, Unread> {
    let mut reader = Reader::default();
    match *sent.method {
        Method::GET if sent.body.is_empty() => {
            in_query(sent.url.query().unwrap_or_default())?.read(&mut reader)?;
        }
        Method::POST => {
            // Some servers take the operation from there, others from the body.
            if sent.url.query().is_some_and(|query| !query.is_empty()) {
                return Err(malformed(
                    "a POST with an operation in its body has no query besides",
                ));
            }
            in_body(sent, &mut reader)?;
        }
        _ => {
            return Err(malformed(
                "an operation is sent with POST, or with GET and no body",
            ));
        }
    }
    // Fragments that spread each other have no field, and nothing would be within any grant.
    match reader.found.is_empty() {
        true => Err(malformed("it has no field")),
        false => Ok(reader.found),
    }
}

fn in_body(sent: &Sent<'_>, reader: &mut Reader) -> Result<(), Unread> {
    let text = || std::str::from_utf8(sent.body).map_err(|_| malformed("it is not UTF-8"));
    match media_type(sent.headers)?.as_str() {
        "application/graphql" => reader.document(text()?),
        "application/json" => {
            let text = text()?;
            if text.trim_start().starts_with('[') {
                let batch: Vec<Parameters> = json(text)?;
                if batch.is_empty() {
                    return Err(malformed("a batch of nothing"));
                }
                return batch.into_iter().try_for_each(|it| it.read(reader));
            }
            json::<Parameters>(text)?.read(reader)
        }
        _ => Err(malformed(
            "of GraphQL's bodies only application/json and application/graphql are read",
        )),
    }
}

fn json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Unread> {
    serde_json::from_str(text).map_err(|error| malformed(format!("its JSON: {error}")))
}

fn in_query(query: &str) -> Result<Parameters, Unread> {
    let mut parameters = Parameters::default();
    for (name, value) in pairs(query)? {
        let is_second = match name.as_str() {
            "query" => parameters.query.replace(value).is_some(),
            "operationName" => std::mem::replace(&mut parameters.operation_name, true),
            "variables" => std::mem::replace(&mut parameters.variables, true),
            "extensions" => parameters.extensions.replace(json(&value)?).is_some(),
            _ => return Err(malformed(unknown(&name))),
        };
        if is_second {
            return Err(malformed(format!("the parameter `{name}` is there twice")));
        }
    }
    Ok(parameters)
}

/// Servers that know others may take a document by its name from them.
fn unknown(name: &str) -> String {
    let short: String = name.chars().take(32).flat_map(char::escape_debug).collect();
    format!(
        "`{short}` is none of the parameters of GraphQL: query, operationName, variables, extensions"
    )
}

impl Parameters {
    fn read(self, reader: &mut Reader) -> Result<(), Unread> {
        if self.extensions.is_some_and(|it| it.has_persisted) {
            return Err(Unread::Unseen("it names a document that the server keeps"));
        }
        let query = self.query;
        reader.document(&query.ok_or_else(|| malformed("it has no `query`"))?)
    }
}

/// An object alone, where a derived one could be a list too; no member twice, and none unknown.
impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `query`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut seen = BTreeSet::new();
                let mut parameters = Parameters::default();
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "query" => parameters.query = map.next_value()?,
                        "extensions" => parameters.extensions = map.next_value()?,
                        "operationName" | "variables" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        _ => return Err(A::Error::custom(unknown(&name))),
                    }
                    if !seen.insert(name) {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(parameters)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Extensions;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of extensions")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extensions, A::Error> {
                let mut extensions = Extensions::default();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    let name = name.to_ascii_lowercase();
                    let marks = ["persisted", "document", "hash", "queryid", "query_id"];
                    extensions.has_persisted |= marks.iter().any(|mark| name.contains(mark));
                }
                Ok(extensions)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests;
