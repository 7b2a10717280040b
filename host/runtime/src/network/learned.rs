//! What a capsule sends while nobody restricts it, for a grant to be made of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use soma_capability::{Grant, HttpGrant, MAX_PATHS, Method, OriginPattern, PathTemplate};

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
        let mut methods: BTreeMap<(OriginPattern, PathTemplate), Vec<Method>> = BTreeMap::new();
        for wanted in seen.iter().filter(|wanted| !is_known(wanted, known)) {
            match name(wanted) {
                Some((place, method)) => methods.entry(place).or_default().push(method),
                None => lesson.nameless.push(wanted.to_string()),
            }
        }
        // One entry for the paths of an origin that are asked with the same methods.
        let mut paths: BTreeMap<(OriginPattern, Vec<Method>), Vec<PathTemplate>> = BTreeMap::new();
        for ((origin, path), methods) in methods {
            paths.entry((origin, methods)).or_default().push(path);
        }
        for ((origin, methods), paths) in paths {
            for paths in paths.chunks(MAX_PATHS) {
                lesson.grant.http.push(HttpGrant {
                    origin: origin.clone(),
                    methods: methods.clone(),
                    paths: paths.to_vec(),
                    credential: None,
                    addresses: Vec::new(),
                });
            }
        }
        lesson
    }
}

fn is_known(wanted: &Wanted, known: &Grant) -> bool {
    known.http.iter().any(|entry| wanted.is_granted(entry))
}

fn name(wanted: &Wanted) -> Option<((OriginPattern, PathTemplate), Method)> {
    let origin = wanted.origin.to_string().parse().ok()?;
    let path = wanted.path.parse().ok()?;
    Some(((origin, path), wanted.method.parse().ok()?))
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
}
