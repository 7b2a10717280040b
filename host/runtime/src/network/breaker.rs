//! Circuit breakers: an upstream to which no connection can be made is left alone for a while, and
//! calls are told so at once instead of waiting for what will not come. Then one request is let
//! through to see whether it is back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use soma_capability::Origin;

/// Connections in a row that must fail before an upstream is left alone.
const FAILURES: u32 = 5;
/// For how long at first; each time that it is still down, for twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Upstreams that are remembered at once.
const REMEMBERED: usize = 1024;

/// The upstreams to which connections failed lately. Only that counts: an error that an upstream
/// answers is an answer, and how long a guest waits is its own business.
#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<HashMap<Origin, Breaker>>);

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    pause: Duration,
    /// Until when it is left alone.
    until: Option<Instant>,
}

/// The leave to connect. What came of it is said by [`Attempt::answered`] or [`Attempt::failed`]; an
/// attempt that is given up says nothing.
pub(crate) struct Attempt<'a> {
    breakers: &'a Breakers,
    origin: Origin,
    is_probe: bool,
}

/// An upstream that is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Down {
    origin: Origin,
    failures: u32,
    again: Duration,
}

impl Breakers {
    /// The leave to connect, where the upstream is not left alone.
    pub(super) fn attempt(&self, origin: Origin) -> Result<Attempt<'_>, Down> {
        self.attempt_at(origin, Instant::now())
    }

    fn attempt_at(&self, origin: Origin, now: Instant) -> Result<Attempt<'_>, Down> {
        let mut is_probe = false;
        if let Some(breaker) = self.lock().get_mut(&origin)
            && let Some(until) = breaker.until
        {
            if now < until {
                return Err(Down {
                    failures: breaker.failures,
                    again: until.saturating_duration_since(now),
                    origin,
                });
            }
            // Until it has an answer, which may take its time, one request a while is let through.
            breaker.until = Some(now + FIRST_PAUSE);
            is_probe = true;
        }
        Ok(Attempt {
            breakers: self,
            origin,
            is_probe,
        })
    }

    /// How many upstreams are left alone.
    pub(super) fn down(&self) -> usize {
        let all = self.lock();
        all.values()
            .filter(|breaker| breaker.until.is_some())
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The upstream is there.
    pub(crate) fn answered(self) {
        let known = self.breakers.lock().remove(&self.origin);
        if known.is_some_and(|breaker| breaker.until.is_some()) {
            tracing::info!(origin = %self.origin, "an upstream is back");
        }
    }

    /// No connection could be made.
    pub(crate) fn failed(self) {
        self.failed_at(Instant::now());
    }

    fn failed_at(self, now: Instant) {
        let mut all = self.breakers.lock();
        if all.len() >= REMEMBERED && !all.contains_key(&self.origin) {
            return;
        }
        let breaker = all.entry(self.origin.clone()).or_default();
        breaker.failures += 1;
        // Of many that were on their way when it was found out, the first counts.
        let is_news = self.is_probe || breaker.until.is_none();
        if breaker.failures < FAILURES || !is_news {
            return;
        }
        breaker.pause = (2 * breaker.pause).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        breaker.until = Some(now + breaker.pause);
        let (failures, pause) = (breaker.failures, breaker.pause.as_secs());
        tracing::warn!(origin = %self.origin, failures, pause, "an upstream is left alone");
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            origin,
            failures,
            again,
        } = self;
        let seconds = again.as_secs_f32().ceil();
        write!(
            f,
            "{origin} could not be reached {failures} times in a row: it is tried again in {seconds} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        "http://upstream.test".parse().unwrap()
    }

    fn fail(breakers: &Breakers, times: u32, now: Instant) {
        for _ in 0..times {
            breakers.attempt_at(origin(), now).unwrap().failed_at(now);
        }
    }

    #[test]
    fn an_upstream_that_is_down_is_left_alone_and_probed_by_one() {
        let breakers = Breakers::default();
        let now = Instant::now();
        fail(&breakers, FAILURES - 1, now);
        // One answer, and nothing is held against it.
        breakers.attempt_at(origin(), now).unwrap().answered();
        fail(&breakers, FAILURES, now);
        let down = breakers.attempt_at(origin(), now).err().unwrap();
        assert_eq!((down.failures, down.again), (FAILURES, FIRST_PAUSE));
        assert!(down.to_string().contains("5 times in a row"), "{down}");
        let other: Origin = "http://other.test".parse().unwrap();
        assert!(breakers.attempt_at(other, now).is_ok());

        let later = now + FIRST_PAUSE;
        let probe = breakers.attempt_at(origin(), later).unwrap();
        assert!(breakers.attempt_at(origin(), later).is_err());
        // A probe that waits for its answer, or is given up, leaves the turn to another.
        let later = later + FIRST_PAUSE;
        let other = breakers.attempt_at(origin(), later).unwrap();
        drop(probe);
        other.failed_at(later);
        let down = breakers.attempt_at(origin(), later).err().unwrap();
        assert_eq!(down.again, 2 * FIRST_PAUSE);

        let later = later + 2 * FIRST_PAUSE;
        breakers.attempt_at(origin(), later).unwrap().answered();
        assert!(breakers.attempt_at(origin(), later).is_ok());
        assert!(breakers.lock().is_empty());
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let breakers = Breakers::default();
        let mut now = Instant::now();
        fail(&breakers, FAILURES, now);
        for _ in 0..20 {
            now += LONGEST_PAUSE;
            fail(&breakers, 1, now);
        }
        let down = breakers.attempt_at(origin(), now).err().unwrap();
        assert_eq!(down.again, LONGEST_PAUSE);
    }

    #[test]
    fn many_at_once_are_one_piece_of_news() {
        let breakers = Breakers::default();
        let now = Instant::now();
        let all: Vec<_> = (0..50)
            .map(|_| breakers.attempt_at(origin(), now).unwrap())
            .collect();
        all.into_iter().for_each(|attempt| attempt.failed_at(now));
        let down = breakers.attempt_at(origin(), now).err().unwrap();
        assert_eq!((down.failures, down.again), (50, FIRST_PAUSE));
    }
}
