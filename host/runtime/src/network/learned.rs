//! What a capsule sends while nobody restricts it, for a grant to be made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use soma_capability::{
    Grant, HttpGrant, MAX_OPERATIONS, MAX_PATHS, Method, Operation, OriginPattern, PathTemplate,
    Protocol,
};

use super::refusal::Wanted;

/// The requests of calls that were allowed whatever they sent. Clones record into the same.
#[derive(Clone, Debug, Default)]
pub struct Learned(Arc<Mutex<BTreeSet<Wanted>>>);

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// The smallest grant that covers it.
    pub grant: Grant,
    /// Requests that no grant can name, such as with a method in lower case.
    pub nameless: Vec<String>,
}

impl Learned {
    pub(super) fn record(&self, wanted: Wanted) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(wanted);
    }

    /// What was seen so far, but for what `known` covers already.
    pub fn lesson(&self, known: &Grant) -> Lesson {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lesson = Lesson::default();
        let mut seen_at: BTreeMap<Place, Seen> = BTreeMap::new();
        for wanted in seen.iter().filter(|wanted| !is_known(wanted, known)) {
            match name(wanted) {
                Some((place, method)) => seen_at.entry(place).or_default().add(wanted, method),
                None => lesson.nameless.push(wanted.to_string()),
            }
        }
        // One entry for the paths of an origin that are asked with the same methods and operations.
        let mut paths: BTreeMap<_, Vec<PathTemplate>> = BTreeMap::new();
        for (place, seen) in seen_at {
            let operations = seen.named();
            let key = (place.origin, seen.methods, operations);
            paths.entry(key).or_default().push(place.path);
        }
        for ((origin, methods, operations), paths) in paths {
            for paths in paths.chunks(MAX_PATHS) {
                lesson.grant.http.push(HttpGrant {
                    origin: origin.clone(),
                    methods: methods.iter().cloned().collect(),
                    paths: paths.to_vec(),
                    operations: operations.clone(),
                    credential: None,
                    ca: None,
                    client_certificate: None,
                    addresses: Vec::new(),
                });
            }
        }
        lesson
    }
}

/// Where requests went, and how they said what they do there, where that was seen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    origin: OriginPattern,
    path: PathTemplate,
    protocol: Option<Protocol>,
}

/// The requests of one place.
#[derive(Default)]
struct Seen {
    methods: BTreeSet<Method>,
    operations: BTreeSet<Operation>,
}

impl Seen {
    fn add(&mut self, wanted: &Wanted, method: Method) {
        self.methods.insert(method);
        self.operations.extend(wanted.operations.iter().cloned());
    }

    /// None for every operation: where none was seen, or more than an entry has.
    fn named(&self) -> Option<Vec<Operation>> {
        let fits = (1..=MAX_OPERATIONS).contains(&self.operations.len());
        fits.then(|| self.operations.iter().cloned().collect())
    }
}

fn is_known(wanted: &Wanted, known: &Grant) -> bool {
    let is_said = |entry: &HttpGrant| match wanted.operations.as_slice() {
        [] => entry.operations.is_none(),
        some => entry.allows(some),
    };
    let mut entries = known.http.iter();
    entries.any(|entry| wanted.is_granted(entry) && is_said(entry))
}

fn name(wanted: &Wanted) -> Option<(Place, Method)> {
    let place = Place {
        origin: wanted.origin.to_string().parse().ok()?,
        path: wanted.path.parse().ok()?,
        protocol: wanted.operations.first().map(Operation::protocol),
    };
    Some((place, wanted.method.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_grant_that_covers_what_was_sent() {
        let learned = Learned::default();
        for (method, origin, path) in [
            ("GET", "https://b.test", "/x"),
            ("GET", "https://a.test", "/items/2"),
            ("GET", "https://a.test", "/items/1"),
            ("GET", "https://a.test", "/items/1"),
            ("POST", "https://a.test", "/items"),
            ("GET", "https://a.test", "/items"),
            ("put", "https://a.test", "/items"),
        ] {
            learned.clone().record(Wanted {
                method: method.to_owned(),
                origin: origin.parse().unwrap(),
                path: path.to_owned(),
                operations: Vec::new(),
            });
        }
        let lesson = learned.lesson(&Grant::default());
        let entries: Vec<String> = lesson.grant.http.iter().map(ToString::to_string).collect();
        assert_eq!(
            entries,
            [
                "GET https://a.test/items/1\nGET https://a.test/items/2",
                "GET,POST https://a.test/items",
                "GET https://b.test/x",
            ]
        );
        assert_eq!(lesson.nameless, ["put https://a.test/items"]);
        let again = learned.lesson(&lesson.grant);
        assert!(again.grant.is_empty());
    }

    #[test]
    fn operations_are_learned_where_they_were_seen() {
        let learned = Learned::default();
        let record = |operations: &[&str]| {
            learned.record(Wanted {
                method: "POST".to_owned(),
                origin: "https://a.test".parse().unwrap(),
                path: "/graphql".to_owned(),
                operations: operations.iter().map(|it| it.parse().unwrap()).collect(),
            });
        };
        let lesson = |known: &[&str]| {
            let http = known.iter().map(|it| it.parse().unwrap()).collect();
            let known = Grant {
                http,
                ..Grant::default()
            };
            let lesson = learned.lesson(&known).grant.http;
            lesson.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        record(&["query a", "mutation b"]);
        record(&["query c"]);
        let whole = "POST https://a.test/graphql query a, query c, mutation b";
        assert_eq!(lesson(&[]), [whole]);
        assert!(lesson(&[whole]).is_empty());
        let rest = "POST https://a.test/graphql query a, mutation b";
        let known = "POST https://a.test/graphql query *";
        assert_eq!(lesson(&[known]), [rest]);
        // What could not be seen is covered by no entry that names some.
        record(&[]);
        let every = "POST https://a.test/graphql";
        assert_eq!(lesson(&[whole]), [every]);
        assert!(lesson(&[every]).is_empty());
    }
}
