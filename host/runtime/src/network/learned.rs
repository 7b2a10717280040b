//! What a capsule sends while somebody looks, for a grant to be made of.

mod lesson;

use std::collections::VecDeque;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use soma_capability::Grant;

pub use self::lesson::Lesson;
use super::refusal::Wanted;

/// The requests of calls that somebody looks at. Clones record into the same.
#[derive(Clone, Debug, Default)]
pub struct Learned(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Whether each was allowed, once at least; the others were denied.
    requests: BTreeMap<Wanted, bool>,
    /// Those that came, or were allowed for the first time, since somebody kept them.
    news: VecDeque<(Wanted, bool)>,
    /// None is as many as come.
    most: Option<usize>,
    is_full: bool,
}

impl Learned {
    /// Records so many different requests at most.
    pub fn at_most(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Seen {
            most: Some(most),
            ..Seen::default()
        })))
    }

    /// Records a request, and whether it was allowed or denied.
    pub fn record(&self, wanted: Wanted, is_allowed: bool) {
        let mut seen = self.seen();
        let is_full = seen.most.is_some_and(|most| seen.requests.len() >= most);
        match seen.requests.entry(wanted.clone()) {
            Entry::Occupied(known) if *known.get() || !is_allowed => return,
            Entry::Occupied(mut known) => *known.get_mut() = true,
            Entry::Vacant(_) if is_full => {
                seen.is_full = true;
                return;
            }
            Entry::Vacant(place) => {
                place.insert(is_allowed);
            }
        }
        if seen.most.is_some() {
            seen.news.push_back((wanted, is_allowed));
        }
    }

    /// What is to be kept, the oldest first; it stays so until it [is kept](Self::kept).
    pub fn news(&self) -> Vec<(Wanted, bool)> {
        self.seen().news.iter().cloned().collect()
    }

    /// The first so many of the news are kept.
    pub fn kept(&self, how_many: usize) {
        let mut seen = self.seen();
        let how_many = how_many.min(seen.news.len());
        seen.news.drain(..how_many);
    }

    /// Whether there was a request that there was no room for.
    pub fn is_full(&self) -> bool {
        self.seen().is_full
    }

    /// What was seen so far, but for what `known` covers already.
    pub fn lesson(&self, known: &Grant) -> Lesson {
        let seen = self.seen();
        let new = seen.requests.keys();
        let new = new.filter(|wanted| !wanted.is_covered_by(&known.http));
        Lesson::of(new, &[], &Grant::default())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(path: &str) -> Wanted {
        Wanted {
            method: "GET".to_owned(),
            origin: "https://a.test".parse().unwrap(),
            path: path.to_owned(),
            operations: Vec::new(),
        }
    }

    #[test]
    fn no_more_than_there_is_room_for_and_each_once() {
        let learned = Learned::at_most(2);
        for (to, is_allowed) in [
            ("/a", false),
            ("/a", false),
            ("/b", true),
            ("/b", false),
            ("/a", true),
        ] {
            learned.record(wanted(to), is_allowed);
        }
        assert!(!learned.is_full());
        learned.record(wanted("/c"), true);
        assert!(learned.is_full());
        let news = learned.news();
        let expected = [
            (wanted("/a"), false),
            (wanted("/b"), true),
            (wanted("/a"), true),
        ];
        assert_eq!(news, expected);
        learned.record(wanted("/b"), true);
        learned.kept(2);
        assert_eq!(learned.news(), expected[2..]);
    }
}
