//! What is recorded of a capsule that somebody looks at, while its rules hold as ever.

use std::collections::BTreeSet;

use soma_capability::{Operation, Origin, Protocol, normalise_path};
use url::Url;

use super::operations::{self, Sent};
use super::refusal::Wanted;
use super::rules::Rules;
use super::{Learned, Network};

/// Bytes of a path, a method and an origin that are recorded: no grant can name longer ones.
const LONGEST_PATH: usize = 1024;
const LONGEST_METHOD: usize = 32;
const LONGEST_ORIGIN: usize = 300;
/// Bytes of all names of operations of one request. One with more is recorded without them.
const LONGEST_OPERATIONS: usize = 1024;

impl Network {
    /// Whether somebody looks at what is sent through this.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched().is_some()
    }

    /// What a request does at its place, for whoever looks. None where nobody does, where its place
    /// says it all, or where it cannot be told.
    pub(crate) fn operations(&self, sent: &Sent<'_>) -> Vec<Operation> {
        let Some((rules, _)) = self.watched() else {
            return Vec::new();
        };
        let path = normalise_path(sent.url.path());
        let (Some(origin), Ok(path)) = (Origin::of(sent.url), path) else {
            return Vec::new();
        };
        let wanted = Wanted {
            method: sent.method.to_string(),
            origin,
            path,
            operations: Vec::new(),
        };
        let protocols = rules.protocols(&wanted).into_iter();
        let mut read = protocols.filter_map(|protocol| operations::read(protocol, sent).ok());
        read.next().unwrap_or_default()
    }

    /// Records a request for whoever looks, as the guest wrote it; none that no server should be
    /// asked, or that is longer than any grant.
    pub(crate) fn watch(
        &self,
        method: &str,
        url: &str,
        mut operations: Vec<Operation>,
        is_allowed: bool,
    ) {
        let Some((_, watched)) = self.watched() else {
            return;
        };
        let Ok(url) = Url::parse(url) else { return };
        let origin = Origin::of(&url).filter(|origin| !origin.host().contains('*'));
        let (Some(origin), Ok(path)) = (origin, normalise_path(url.path())) else {
            return;
        };
        let is_long = path.len() > LONGEST_PATH
            || method.len() > LONGEST_METHOD
            || origin.to_string().len() > LONGEST_ORIGIN;
        if is_long {
            return;
        }
        let names = operations.iter().map(|it| it.to_string().len() + 2);
        if names.sum::<usize>() > LONGEST_OPERATIONS {
            operations.clear();
        }
        let wanted = Wanted {
            method: method.to_owned(),
            origin,
            path,
            operations,
        };
        watched.record(wanted, is_allowed);
    }

    fn watched(&self) -> Option<(&Rules, &Learned)> {
        let rules = &self.0.as_deref()?.rules;
        Some((rules, rules.watched.as_ref()?))
    }
}

impl Rules {
    /// How a request may say what it does: as an entry for its place names it, or as its place is
    /// known for.
    fn protocols(&self, wanted: &Wanted) -> BTreeSet<Protocol> {
        let asked = self.asked.iter().filter(|it| wanted.is_asked(it));
        let granted = self.granted.iter().filter(|it| wanted.is_granted(it));
        let named = asked.map(|it| &it.operations);
        let named = named.chain(granted.map(|it| &it.operations));
        let named = named.filter_map(|it| it.as_deref()?.first());
        let known = Protocol::at(wanted.origin.host(), &wanted.path);
        named.map(Operation::protocol).chain(known).collect()
    }
}
