//! How often a key may call and a capsule be called, and how many of those calls there are at once.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::future::Cache;
use soma_capability::CapsuleName;

use crate::admission::{Share, Shares};
use crate::config::Config;
use crate::error::Error;
use crate::invoke::Origin;

/// Whoever has not called for so long may call as if it never had: any rate is whole again after a
/// minute. So nothing but what was used lately is remembered.
const REMEMBERED: Duration = Duration::from_mins(2);
/// A burst is what there would be in so many parts of a minute.
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

/// The calls of this host, as far as they are bounded.
pub(crate) struct Rates {
    /// By the key's id, or the tenant's and the capsule's name; neither can be the other.
    buckets: Cache<String, Arc<Bucket>>,
    /// By the same.
    running: Arc<Shares>,
}

/// What is left of a rate.
struct Bucket {
    per_minute: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

/// One of the calls there may be at once.
pub(crate) struct Turn {
    _of_key: Option<Share>,
    _of_capsule: Option<Share>,
}

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
    pub(crate) fn new() -> Self {
        Self {
            // There can be no more of them than keys and installed capsules.
            buckets: Cache::builder().time_to_idle(REMEMBERED).build(),
            running: Arc::default(),
        }
    }

    /// Counts a call, which has its turn until that is dropped.
    pub(crate) async fn enter(
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
                self.count(Level::Key, bound, || caller.key_id().to_owned())
                    .await?
            }
        };
        let whose = || format!("{} {capsule}", caller.tenant_id());
        Ok(Turn {
            _of_key: of_key,
            _of_capsule: self.count(Level::Capsule, bounds.capsule, whose).await?,
        })
    }

    async fn count(
        &self,
        level: Level,
        bound: Bound,
        whose: impl FnOnce() -> String,
    ) -> Result<Option<Share>, Error> {
        if bound == Bound::default() {
            return Ok(None);
        }
        let whose = whose();
        // First, since it can be given back.
        let share = match bound.at_once {
            Some(most) => Some(self.share(level, most, &whose)?),
            None => None,
        };
        if let Some(per_minute) = bound.per_minute {
            let bucket = self.bucket(&whose, per_minute).await;
            bucket.take().map_err(|retry_after| Error::RateLimited {
                what: Reached {
                    level,
                    most: per_minute,
                    unit: "a minute",
                },
                retry_after,
            })?;
        }
        Ok(share)
    }

    fn share(&self, level: Level, most: NonZeroU32, whose: &str) -> Result<Share, Error> {
        let share = self.running.take(whose, most.get() as usize);
        share.ok_or(Error::RateLimited {
            what: Reached {
                level,
                most,
                unit: "at once",
            },
            retry_after: MOMENT,
        })
    }

    /// A full one where there is none, or one of another rate.
    async fn bucket(&self, whose: &str, per_minute: NonZeroU32) -> Arc<Bucket> {
        let fresh = async { Arc::new(Bucket::new(per_minute)) };
        let is_other = |bucket: &Arc<Bucket>| bucket.per_minute != per_minute;
        let entry = self.buckets.entry_by_ref(whose);
        entry.or_insert_with_if(fresh, is_other).await.into_value()
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
        let burst = NonZeroU32::new(per_minute.get() / BURSTS).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        Self {
            per_minute,
            limiter: RateLimiter::direct(quota),
        }
    }

    /// Takes one call, or says how long until there is one.
    fn take(&self) -> Result<(), Duration> {
        let taken = self.limiter.check();
        taken.map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(n: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(n)
    }

    async fn count(rates: &Rates, bound: Bound, whose: &str) -> Result<Option<Share>, Error> {
        let whose = || whose.to_owned();
        rates.count(Level::Key, bound, whose).await
    }

    fn wait(refused: &Result<Option<Share>, Error>) -> Duration {
        match refused {
            Err(Error::RateLimited { retry_after, .. }) => *retry_after,
            _ => panic!("it is not refused"),
        }
    }

    #[tokio::test]
    async fn a_burst_is_a_sixth_of_the_minute() {
        let rates = Rates::new();
        let of = |per_minute| Bound {
            per_minute: some(per_minute),
            at_once: None,
        };
        for _ in 0..3 {
            assert!(count(&rates, of(20), "a").await.is_ok());
        }
        let wait_for_one = wait(&count(&rates, of(20), "a").await);
        assert!(wait_for_one <= Duration::from_secs(3), "{wait_for_one:?}");
        assert!(count(&rates, of(20), "b").await.is_ok());

        assert!(count(&rates, of(1), "c").await.is_ok());
        let minute = wait(&count(&rates, of(1), "c").await);
        assert!(minute > Duration::from_secs(50), "{minute:?}");
        // Another rate begins anew.
        assert!(count(&rates, of(2), "c").await.is_ok());
    }

    #[tokio::test]
    async fn a_call_that_ended_makes_room() {
        let rates = Rates::new();
        let bound = Bound {
            per_minute: some(6000),
            at_once: some(2),
        };
        let first = count(&rates, bound, "a").await.unwrap();
        let _second = count(&rates, bound, "a").await.unwrap();
        assert_eq!(wait(&count(&rates, bound, "a").await), MOMENT);
        assert!(count(&rates, bound, "b").await.is_ok());
        drop(first);
        assert!(count(&rates, bound, "a").await.is_ok());
    }

    #[tokio::test]
    async fn a_refused_call_holds_nothing() {
        let rates = Rates::new();
        let bound = Bound {
            per_minute: some(1),
            at_once: some(1),
        };
        drop(count(&rates, bound, "a").await.unwrap());
        for _ in 0..3 {
            assert!(wait(&count(&rates, bound, "a").await) > MOMENT);
        }
        assert!(rates.running.is_empty());
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
