//! What is decided by the place of a request, and what by the operations that it has there.

use std::collections::{BTreeMap, BTreeSet};

use soma_capability::{CredentialName, HttpCapability, HttpGrant, Operation, Protocol};

use super::operations::{self, Sent, Unread};
use super::refusal::{Denial, Refusal, Wanted};
use super::rules::{Rule, Rules};

/// How far it is known whether a request is allowed.
pub(crate) enum Judged<'a> {
    Settled(Rule<'a>),
    /// Its operations decide, and they are in what is sent.
    Unsettled(Unsettled<'a>),
}

/// A request to a place that is allowed.
pub(crate) struct Unsettled<'a> {
    rules: &'a Rules,
    wanted: Wanted,
    is_open: bool,
}

impl<'a> Unsettled<'a> {
    /// A request that is to be learned.
    pub(super) fn to_learn(rules: &'a Rules, wanted: Wanted) -> Self {
        Self {
            rules,
            wanted,
            is_open: true,
        }
    }

    /// By what the request is allowed, once all of it is there.
    pub(crate) fn settle(self, sent: &Sent<'_>) -> Result<Rule<'a>, Refusal> {
        let Self {
            rules,
            mut wanted,
            is_open,
        } = self;
        if let Some(learned) = &rules.learned {
            let protocol = Protocol::at(wanted.origin.host(), &wanted.path);
            let read = protocol.map(|protocol| operations::read(protocol, sent));
            // What nobody can see takes an entry for every operation.
            wanted.operations = read.and_then(Result::ok).unwrap_or_default();
            learned.record(wanted, true);
            return Ok(Rule::Open);
        }
        match rules.judge(wanted, is_open, Some(sent))? {
            Judged::Settled(rule) => Ok(rule),
            // It was looked at.
            Judged::Unsettled(unsettled) => {
                Err(Refusal::Denied(Denial::NotGranted(unsettled.wanted.into())))
            }
        }
    }
}

/// What was read of a request, by how it may say it.
struct Readings(BTreeMap<Protocol, Result<Vec<Operation>, Unread>>);

impl Readings {
    /// Whether an entry that names these has all that the request does.
    fn are_within(&self, named: Option<&[Operation]>) -> bool {
        let Some(named) = named else {
            return true;
        };
        let read = named
            .first()
            .and_then(|first| self.0.get(&first.protocol()));
        let Some(Ok(read)) = read else {
            return false;
        };
        read.iter()
            .all(|operation| named.iter().any(|it| it.covers(operation)))
    }

    /// Why none of the entries of one side, which name such operations, allows it.
    fn refusal(
        mut self,
        named: Option<&[Operation]>,
        mut wanted: Wanted,
        denial: fn(Box<Wanted>) -> Denial,
    ) -> Refusal {
        let protocol = named
            .and_then(<[Operation]>::first)
            .map(Operation::protocol);
        match protocol.and_then(|protocol| self.0.remove(&protocol)) {
            Some(Err(Unread::Malformed(why))) => {
                Refusal::Malformed(format!("which operations it has cannot be told: {why}"))
            }
            Some(Err(Unread::Unseen(why))) => Refusal::Denied(Denial::Unseen {
                wanted: wanted.into(),
                why,
            }),
            read => {
                wanted.operations = read.and_then(Result::ok).unwrap_or_default();
                Refusal::Denied(denial(wanted.into()))
            }
        }
    }
}

impl Rules {
    /// By which entries a request like this is allowed, each of which allows it whole or not at all;
    /// the first entry of the grant decides whose credential goes along, and it does.
    pub(super) fn judge(
        &self,
        wanted: Wanted,
        is_open: bool,
        sent: Option<&Sent<'_>>,
    ) -> Result<Judged<'_>, Refusal> {
        let mut there = Entries::at(self, &wanted, is_open)?;
        let protocols = there.protocols();
        if !protocols.is_empty() {
            let Some(sent) = sent else {
                return Ok(Judged::Unsettled(Unsettled {
                    rules: self,
                    wanted,
                    is_open,
                }));
            };
            let read = protocols.into_iter();
            let read = read.map(|protocol| (protocol, operations::read(protocol, sent)));
            there.keep(Readings(read.collect()), wanted)?;
        }
        let Some((asked, granted)) = there.both else {
            return Ok(Judged::Settled(Rule::Open));
        };
        let both =
            |name: &CredentialName| asked.iter().any(|it| it.credential.as_ref() == Some(name));
        let named = |it: &&HttpGrant| it.credential.as_ref().is_some_and(both);
        let Some(entry) = granted.iter().copied().find(named) else {
            return Ok(Judged::Settled(Rule::Granted(granted[0], None)));
        };
        let name = entry.credential.as_ref();
        let known = name.and_then(|name| self.credentials.get(name));
        match (known.filter(|it| !it.is_certificate()), name) {
            (None, Some(name)) => Err(Refusal::Denied(Denial::NoCredential(name.clone()))),
            (known, _) => Ok(Judged::Settled(Rule::Granted(entry, known))),
        }
    }
}

/// The entries that allow a request as far as its place says.
struct Entries<'a> {
    /// What is asked and granted; none where everything is open.
    both: Option<(Vec<&'a HttpCapability>, Vec<&'a HttpGrant>)>,
    /// What of it the key leaves, where it is narrowed.
    narrowed: Option<Vec<&'a HttpGrant>>,
}

impl<'a> Entries<'a> {
    fn at(rules: &'a Rules, wanted: &Wanted, is_open: bool) -> Result<Self, Refusal> {
        let denied =
            |denial: fn(Box<Wanted>) -> Denial| Err(Refusal::Denied(denial(wanted.clone().into())));
        let of = |all: &'a Vec<HttpGrant>| -> Vec<&'a HttpGrant> {
            all.iter().filter(|it| wanted.is_granted(it)).collect()
        };
        let narrowed = rules.narrowed.as_ref().map(of);
        if narrowed.as_ref().is_some_and(Vec::is_empty) {
            return denied(Denial::Narrowed);
        }
        if is_open {
            return Ok(Self {
                both: None,
                narrowed,
            });
        }
        let asked = rules.asked.iter().filter(|asked| wanted.is_asked(asked));
        let (asked, granted) = (asked.collect::<Vec<_>>(), of(&rules.granted));
        if asked.is_empty() {
            return denied(Denial::NotAsked);
        }
        if granted.is_empty() {
            return denied(Denial::NotGranted);
        }
        let both = Some((asked, granted));
        Ok(Self { both, narrowed })
    }

    /// How a request could say what it does, where an entry names operations.
    fn protocols(&self) -> BTreeSet<Protocol> {
        let (asked, granted) = match &self.both {
            Some((asked, granted)) => (asked.as_slice(), granted.as_slice()),
            None => (&[][..], &[][..]),
        };
        let asked = asked.iter().map(|it| &it.operations);
        let given = granted.iter().chain(self.narrowed.iter().flatten());
        let named = asked.chain(given.map(|it| &it.operations));
        let named = named.filter_map(|it| it.as_deref()?.first());
        named.map(Operation::protocol).collect()
    }

    /// Leaves those that name all that the request does, or any operation.
    fn keep(&mut self, readings: Readings, wanted: Wanted) -> Result<(), Refusal> {
        if let Some((asked, granted)) = &mut self.both {
            let first = asked[0].operations.as_deref();
            asked.retain(|it| readings.are_within(it.operations.as_deref()));
            if asked.is_empty() {
                return Err(readings.refusal(first, wanted, Denial::NotAsked));
            }
            let first = granted[0].operations.as_deref();
            granted.retain(|it| readings.are_within(it.operations.as_deref()));
            if granted.is_empty() {
                return Err(readings.refusal(first, wanted, Denial::NotGranted));
            }
        }
        if let Some(narrowed) = &mut self.narrowed {
            let first = narrowed[0].operations.as_deref();
            narrowed.retain(|it| readings.are_within(it.operations.as_deref()));
            if narrowed.is_empty() {
                return Err(readings.refusal(first, wanted, Denial::Narrowed));
            }
        }
        Ok(())
    }
}
