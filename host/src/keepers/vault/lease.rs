//! What lasts only for a while, and may be renewed.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Deserialize;

use super::super::Read;
use super::{Account, GOOD_FOR, Token};

/// A term as Vault says it.
#[derive(Deserialize)]
pub(super) struct Term {
    #[serde(default)]
    pub(super) lease_id: String,
    /// Seconds; of a token, 0 is for ever.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// When something ends, and when it is to be renewed: with a third of its time left.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) ends: Instant,
    pub(super) due: Instant,
}

impl Span {
    pub(super) fn of(lasts: Duration) -> Self {
        // A time that no clock shows is as good as a year.
        let lasts = lasts.min(Duration::from_secs(366 * 24 * 60 * 60));
        let now = Instant::now();
        Self {
            ends: now + lasts,
            due: now + lasts * 2 / 3,
        }
    }
}

/// A user of a database.
#[derive(Clone)]
pub(super) struct Lease {
    pub(super) id: String,
    pub(super) renewable: bool,
    /// At first.
    pub(super) lasts: Duration,
    /// Of the token that it was made with.
    pub(super) generation: u64,
    span: Span,
    user: String,
    password: SecretString,
}

impl Lease {
    pub(super) fn new(term: &Term, account: Account, token: &Token) -> Self {
        let lasts = Duration::from_secs(term.lease_duration);
        Self {
            id: term.lease_id.clone(),
            renewable: term.renewable,
            lasts,
            generation: token.generation,
            span: Span::of(lasts),
            user: account.username,
            password: account.password,
        }
    }

    pub(super) fn is_alive(&self) -> bool {
        Instant::now() < self.span.ends
    }

    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.span.due
    }

    /// With the time that it was given; none where that is little: it is at its longest then.
    pub(super) fn renewed(&self, term: &Term) -> Option<Self> {
        let lasts = Duration::from_secs(term.lease_duration);
        (lasts > self.lasts / 3).then(|| Self {
            renewable: term.renewable,
            span: Span::of(lasts),
            ..self.clone()
        })
    }

    pub(super) fn read(&self) -> Read {
        Read {
            value: self.password.clone(),
            user: Some(self.user.clone()),
            // Whoever is given it uses it well before its end.
            good_for: GOOD_FOR.min(self.lasts / 12),
        }
    }
}
