//! How often a key may call and a capsule be called, and how many of those calls there are at once.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use soma_capability::CapsuleName;

use crate::auth::Caller;
use crate::by_name::{ByName, Passing};
use crate::config::Config;
use crate::error::Error;
use crate::invoke::Origin;

/// A burst is what comes in one of so many parts of a minute.
const BURSTS: u32 = 6;
/// When to try again where it is not known when a call ends.
const MOMENT: Duration = Duration::from_secs(1);

/// The bounds that the host's operator sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    key: Bound,
    /// Of each tenant's capsules.
    capsule: Bound,
}

/// What one of them may; none is as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bound {
    per_minute: Option<NonZeroU32>,
    at_once: Option<NonZeroU32>,
}

/// Whose bound it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// An API key's.
    Key,
    /// One capsule's of one tenant.
    Capsule,
}

/// A bound that a call would pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) level: Level,
    most: NonZeroU32,
    /// What it counts, in words.
    unit: &'static str,
}

/// The calls of this host, as far as they are bounded: by the key's id, or by the tenant's id and the
/// capsule's name, which have a space between them and are no key's.
#[derive(Default)]
pub(crate) struct Rates(ByName<Calls>);

/// Those under one bound.
#[derive(Default)]
struct Calls {
    running: AtomicU32,
    bucket: Mutex<Option<Bucket>>,
}

/// What is left of a rate.
struct Bucket {
    per_minute: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

/// A call that is counted, until it is dropped.
pub(crate) struct Turn {
    _of_key: Option<Running>,
    _of_capsule: Option<Running>,
}

/// One of the calls there may be at once.
struct Running(Arc<Calls>);

impl Bounds {
    pub(crate) fn resolve(config: &Config) -> Self {
        Self {
            key: Bound {
                per_minute: config.key_calls_per_minute,
                at_once: config.key_concurrent,
            },
            capsule: Bound {
                per_minute: config.capsule_calls_per_minute,
                at_once: config.capsule_concurrent,
            },
        }
    }

    /// The flags, and whether their values are other ones in `new`.
    pub(crate) fn changed(&self, new: &Self) -> [(&'static str, bool); 4] {
        let (key, capsule) = (&self.key, &self.capsule);
        [
            ("key-calls-per-minute", key.per_minute != new.key.per_minute),
            (
                "capsule-calls-per-minute",
                capsule.per_minute != new.capsule.per_minute,
            ),
            ("key-concurrent", key.at_once != new.key.at_once),
            ("capsule-concurrent", capsule.at_once != new.capsule.at_once),
        ]
    }
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Capsule => "capsule",
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, most, unit } = self;
        let level = level.as_str();
        write!(f, "the bound of {most} {unit} on the {level}'s calls")
    }
}

impl Rates {
    /// Counts a call, which has its turn until that is dropped.
    pub(crate) fn enter(
        &self,
        bounds: &Bounds,
        origin: &Origin,
        capsule: &CapsuleName,
    ) -> Result<Turn, Error> {
        let caller = &origin.caller;
        let of_key = match origin.within {
            // The key has asked for the outer one.
            Some(_) => None,
            None => {
                let bound = bounds.key.at_most(caller.calls_per_minute());
                self.count(Level::Key, bound, &[caller.key_id()])?
            }
        };
        let whose = [caller.tenant_id(), " ", capsule.as_str()];
        Ok(Turn {
            _of_key: of_key,
            _of_capsule: self.count(Level::Capsule, bounds.capsule, &whose)?,
        })
    }

    /// Counts a call that is answered as it was before, which runs nothing, against its key's rate.
    pub(crate) fn enter_again(&self, bounds: &Bounds, caller: &Caller) -> Result<(), Error> {
        let bound = Bound {
            at_once: None,
            ..bounds.key.at_most(caller.calls_per_minute())
        };
        self.count(Level::Key, bound, &[caller.key_id()]).map(drop)
    }

    fn count(&self, level: Level, bound: Bound, whose: &[&str]) -> Result<Option<Running>, Error> {
        if bound == Bound::default() {
            return Ok(None);
        }
        let reached = |most, unit, retry_after| Error::RateLimited {
            what: Reached { level, most, unit },
            retry_after,
        };
        let calls = self.0.get(&whose.concat());
        // First, since it can be given back.
        let run = |most| {
            let running = calls.run(most);
            running.ok_or_else(|| reached(most, "at once", MOMENT))
        };
        let running = bound.at_once.map(run).transpose()?;
        if let Some(most) = bound.per_minute {
            let taken = calls.take(most);
            taken.map_err(|retry_after| reached(most, "a minute", retry_after))?;
        }
        Ok(running)
    }
}

impl Calls {
    /// One more that runs, where there are fewer than so many.
    fn run(self: &Arc<Self>, most: NonZeroU32) -> Option<Running> {
        let one_more = |running| (running < most.get()).then_some(running + 1);
        let counted = self
            .running
            .fetch_update(Relaxed, Relaxed, one_more)
            .is_ok();
        counted.then(|| Running(self.clone()))
    }

    /// Takes one of so many a minute, or says how long until there is one. Another rate begins anew.
    fn take(&self, per_minute: NonZeroU32) -> Result<(), Duration> {
        let mut bucket = self.bucket();
        match &mut *bucket {
            Some(bucket) if bucket.per_minute == per_minute => bucket.take(),
            other => other.insert(Bucket::new(per_minute)).take(),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Option<Bucket>> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passing for Calls {
    fn is_over(&self) -> bool {
        self.bucket().as_ref().is_none_or(Bucket::is_full)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Bound {
    /// The smaller rate of both.
    fn at_most(self, per_minute: Option<NonZeroU32>) -> Self {
        Self {
            per_minute: self.per_minute.into_iter().chain(per_minute).min(),
            ..self
        }
    }
}

impl Bucket {
    fn new(per_minute: NonZeroU32) -> Self {
        let quota = Quota::per_minute(per_minute).allow_burst(burst(per_minute));
        Self {
            per_minute,
            limiter: RateLimiter::direct(quota),
        }
    }

    fn take(&self) -> Result<(), Duration> {
        let taken = self.limiter.check();
        taken.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }

    /// Whether it is as a new one is; then it is emptied, as somebody must do who wants to know.
    fn is_full(&self) -> bool {
        let all = self.limiter.check_n(burst(self.per_minute));
        matches!(all, Ok(Ok(())))
    }
}

fn burst(per_minute: NonZeroU32) -> NonZeroU32 {
    NonZeroU32::new(per_minute.get() / BURSTS).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(n: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(n)
    }

    fn count(rates: &Rates, bound: Bound, whose: &str) -> Result<Option<Running>, Error> {
        rates.count(Level::Key, bound, &[whose])
    }

    fn wait(refused: &Result<Option<Running>, Error>) -> Duration {
        match refused {
            Err(Error::RateLimited { retry_after, .. }) => *retry_after,
            _ => panic!("it is not refused"),
        }
    }

    #[test]
    fn a_burst_is_a_sixth_of_the_minute() {
        let rates = Rates::default();
        let of = |per_minute| Bound {
            per_minute: some(per_minute),
            at_once: None,
        };
        for _ in 0..3 {
            assert!(count(&rates, of(20), "a").is_ok());
        }
        let wait_for_one = wait(&count(&rates, of(20), "a"));
        assert!(wait_for_one <= Duration::from_secs(3), "{wait_for_one:?}");
        assert!(count(&rates, of(20), "b").is_ok());

        assert!(count(&rates, of(1), "c").is_ok());
        let minute = wait(&count(&rates, of(1), "c"));
        assert!(minute > Duration::from_secs(50), "{minute:?}");
        // Another rate begins anew.
        assert!(count(&rates, of(2), "c").is_ok());
    }

    #[test]
    fn what_a_rate_has_left_is_needed_until_it_is_whole() {
        let calls = Calls::default();
        assert!(calls.is_over());
        let of = |per_minute| some(per_minute).unwrap();
        calls.take(of(12)).unwrap();
        assert!(!calls.is_over());
        // It is there again after the millisecond that each of 60,000 a minute has.
        let brief = Calls::default();
        brief.take(of(60_000)).unwrap();
        assert!(!brief.is_over());
        std::thread::sleep(Duration::from_millis(20));
        assert!(brief.is_over());
    }

    #[test]
    fn a_call_that_ended_makes_room() {
        let rates = Rates::default();
        let bound = Bound {
            per_minute: some(6000),
            at_once: some(2),
        };
        let first = count(&rates, bound, "a").unwrap();
        let _second = count(&rates, bound, "a").unwrap();
        assert_eq!(wait(&count(&rates, bound, "a")), MOMENT);
        assert!(count(&rates, bound, "b").is_ok());
        drop(first);
        assert!(count(&rates, bound, "a").is_ok());
    }

    #[test]
    fn a_refused_call_holds_nothing() {
        let rates = Rates::default();
        let bound = Bound {
            per_minute: some(1),
            at_once: some(1),
        };
        drop(count(&rates, bound, "a").unwrap());
        for _ in 0..3 {
            assert!(wait(&count(&rates, bound, "a")) > MOMENT);
        }
        let idle = |calls: &Arc<Calls>| calls.running.load(Relaxed) == 0;
        assert!(rates.0.all().iter().all(idle));
    }

    #[test]
    fn the_smaller_rate_holds() {
        let bound = |per_minute| Bound {
            per_minute: some(per_minute),
            at_once: some(3),
        };
        assert_eq!(bound(5).at_most(some(7)), bound(5));
        assert_eq!(bound(5).at_most(some(2)), bound(2));
        assert_eq!(bound(5).at_most(None), bound(5));
        assert_eq!(bound(0).at_most(some(7)), bound(7));
    }
}
