//! Admission: how many calls run at once and how many wait. Whoever comes when all places are
//! taken is turned away at once, since a queue that grows only makes everybody late.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// Installations at once, from the first byte received to the last one stored: each may hold a
/// file of 64 MiB.
const INSTALLS: usize = 8;
/// Calls within calls at once, whatever the settings.
const WITHIN: u32 = 128;
/// Bodies that any tenant may be sending at once, however few places there are.
const RECEIVING: usize = 8;

/// The bounds in force, and what is taken of them.
pub(crate) struct Admission {
    inner: Arc<Inner>,
}

struct Inner {
    slots: Arc<Semaphore>,
    /// How many slots there are, taken ones too.
    concurrent: AtomicUsize,
    waiting: AtomicUsize,
    inside: AtomicUsize,
    /// Calls within calls have slots of their own: who waited for one with a slot in hand would wait
    /// for others that do the same.
    within: Arc<Semaphore>,
    /// One large input a core is parsed and checked at a time: it takes a core and much memory.
    checks: Arc<Semaphore>,
    installs: Arc<Semaphore>,
    installing: Arc<Shares>,
    /// Calls whose bodies are being received.
    receiving: Arc<Shares>,
    waiting_now: IntGauge,
    running_now: IntGauge,
}

/// The right to be inside: a call that runs, waits, or is still being received.
pub(crate) struct Place {
    inner: Arc<Inner>,
    /// Whether it is a part of a call that is inside already.
    is_within: bool,
}

/// How much of something each tenant has.
#[derive(Default)]
struct Shares(Mutex<HashMap<String, usize>>);

/// One of a tenant's.
pub(crate) struct Share {
    shares: Arc<Shares>,
    tenant: String,
}

/// The right to install.
pub(crate) struct InstallPlace {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

/// The right to run.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    place: Place,
}

impl Admission {
    pub(crate) fn new(
        concurrent: u32,
        waiting: u32,
        waiting_now: IntGauge,
        running_now: IntGauge,
    ) -> Self {
        let inner = Inner {
            slots: Arc::new(Semaphore::new(concurrent as usize)),
            concurrent: AtomicUsize::new(concurrent as usize),
            waiting: AtomicUsize::new(waiting as usize),
            inside: AtomicUsize::new(0),
            within: Arc::new(Semaphore::new(within(concurrent) as usize)),
            checks: Arc::new(Semaphore::new(cores())),
            installs: Arc::new(Semaphore::new(INSTALLS)),
            installing: Arc::default(),
            receiving: Arc::default(),
            waiting_now,
            running_now,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// New bounds. Calls that run on slots which are no more finish first.
    pub(crate) fn resize(&self, concurrent: u32, waiting: u32) {
        let inner = &self.inner;
        inner.waiting.store(waiting as usize, Relaxed);
        let before = inner.concurrent.swap(concurrent as usize, Relaxed);
        let now = concurrent as usize;
        if now >= before {
            inner.slots.add_permits(now - before);
            return;
        }
        let slots = inner.slots.clone();
        let fewer = u32::try_from(before - now).unwrap_or(u32::MAX);
        tokio::spawn(async move {
            if let Ok(permits) = slots.acquire_many_owned(fewer).await {
                permits.forget();
            }
        });
    }

    /// A place, or the news that there is none.
    pub(crate) fn enter(&self) -> Result<Place, Error> {
        let inner = &self.inner;
        let most = inner.places();
        let place = Place {
            inner: inner.clone(),
            is_within: false,
        };
        // Dropping the place gives the count back.
        if inner.inside.fetch_add(1, Relaxed) >= most {
            return Err(Error::Overloaded("running and waiting calls"));
        }
        Ok(place)
    }

    /// The place of a call within a call.
    pub(crate) fn enter_within(&self) -> Place {
        Place {
            inner: self.inner.clone(),
            is_within: true,
        }
    }

    /// The right to wait for a body that has not arrived at once. A tenant has it for half the
    /// places, so that it cannot take them all by sending slowly, for which nobody charges it.
    pub(crate) fn receive(&self, tenant: &str) -> Result<Share, Error> {
        let most = RECEIVING.max(self.inner.places() / 2);
        self.inner
            .receiving
            .take(tenant, most)
            .ok_or(Error::Overloaded(
                "calls of one tenant whose bodies are on their way",
            ))
    }

    /// A place to install in, or the news that there is none. A tenant has half of them at most.
    pub(crate) fn install(&self, tenant: &str) -> Result<InstallPlace, Error> {
        let share = self.inner.installing.take(tenant, INSTALLS / 2);
        let share = share.ok_or(Error::Overloaded("installations of one tenant"))?;
        let permit = self.inner.installs.clone().try_acquire_owned();
        Ok(InstallPlace {
            _permit: permit.map_err(|_| Error::Overloaded("installations"))?,
            _share: share,
        })
    }

    /// Waits for the right to check a large input.
    pub(crate) async fn check(&self) -> Result<OwnedSemaphorePermit, Error> {
        let permit = self.inner.checks.clone().acquire_owned().await;
        permit.map_err(|_| Error::NotReady("the host is stopping"))
    }

    /// Calls inside at this moment, waiting ones too.
    pub(crate) fn inside(&self) -> usize {
        self.inner.inside.load(Relaxed)
    }
}

impl Inner {
    fn places(&self) -> usize {
        self.concurrent.load(Relaxed) + self.waiting.load(Relaxed)
    }
}

impl Shares {
    /// One more for the tenant, where it has fewer than so many.
    fn take(self: &Arc<Self>, tenant: &str, most: usize) -> Option<Share> {
        let mut all = self.lock();
        let of_tenant = all.entry(tenant.to_owned()).or_default();
        if *of_tenant >= most {
            return None;
        }
        *of_tenant += 1;
        Some(Share {
            shares: self.clone(),
            tenant: tenant.to_owned(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.lock();
        if let Some(of_tenant) = all.get_mut(&self.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                all.remove(&self.tenant);
            }
        }
    }
}

/// How many calls within calls there may be beside so many calls.
pub(crate) fn within(concurrent: u32) -> u32 {
    concurrent.min(WITHIN)
}

/// How many things that take a core each go on at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Place {
    /// Waits for a slot to run in: first come, first served; at once or never, within a call.
    pub(crate) async fn slot(self) -> Result<Slot, Error> {
        let inner = &self.inner;
        let slots = if self.is_within {
            &inner.within
        } else {
            &inner.slots
        };
        let permit = match slots.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.is_within => return Err(Error::Overloaded("calls within calls")),
            Err(_) => {
                let _waiting = Counted::new(&self.inner.waiting_now);
                let permit = slots.clone().acquire_owned().await;
                permit.map_err(|_| Error::NotReady("the host is stopping"))?
            }
        };
        self.inner.running_now.inc();
        Ok(Slot {
            _permit: permit,
            place: self,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_within {
            self.inner.inside.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.place.inner.running_now.dec();
    }
}

struct Counted<'a>(&'a IntGauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(concurrent: u32, waiting: u32) -> Admission {
        let gauge = |name: &str| IntGauge::new(name, name).unwrap();
        Admission::new(concurrent, waiting, gauge("waiting"), gauge("running"))
    }

    #[tokio::test]
    async fn beyond_the_bounds_there_is_no_place() {
        let admission = admission(1, 1);
        let running = admission.enter().unwrap().slot().await.unwrap();
        let waiting = tokio::spawn(admission.enter().unwrap().slot());
        tokio::task::yield_now().await;
        assert_eq!(admission.inner.waiting_now.get(), 1);
        assert!(matches!(admission.enter(), Err(Error::Overloaded(_))));

        drop(running);
        let second = waiting.await.unwrap().unwrap();
        assert_eq!(admission.inner.waiting_now.get(), 0);
        drop(second);
        assert_eq!(
            (admission.inside(), admission.inner.running_now.get()),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn calls_within_calls_wait_for_nobody() {
        let admission = admission(1, 0);
        let outer = admission.enter().unwrap().slot().await.unwrap();
        let within = admission.enter_within().slot().await.unwrap();
        let second = admission.enter_within().slot().await;
        assert!(matches!(second, Err(Error::Overloaded(_))));
        drop(within);
        assert!(admission.enter_within().slot().await.is_ok());
        assert_eq!(admission.inside(), 1);
        drop(outer);
        assert_eq!(admission.inside(), 0);
    }

    #[tokio::test]
    async fn one_tenant_sends_slowly_to_half_the_places() {
        let admission = admission(10, 10);
        let all: Vec<_> = (0..10).map(|_| admission.receive("a").unwrap()).collect();
        assert!(matches!(admission.receive("a"), Err(Error::Overloaded(_))));
        assert!(admission.receive("b").is_ok());
        drop(all);
        assert!(admission.receive("a").is_ok());
        assert!(admission.inner.receiving.lock().is_empty());
    }

    #[tokio::test]
    async fn one_tenant_has_half_the_places_to_install_in() {
        let admission = admission(1, 1);
        let half = INSTALLS / 2;
        let all: Vec<_> = (0..half).map(|_| admission.install("a").unwrap()).collect();
        assert!(matches!(admission.install("a"), Err(Error::Overloaded(_))));
        let others: Vec<_> = (0..half).map(|_| admission.install("b").unwrap()).collect();
        assert!(matches!(admission.install("c"), Err(Error::Overloaded(_))));
        drop(all);
        assert!(admission.install("a").is_ok());
        drop(others);
    }

    #[tokio::test]
    async fn giving_up_while_waiting_frees_the_place() {
        let admission = admission(1, 1);
        let _running = admission.enter().unwrap().slot().await.unwrap();
        let waiting = tokio::spawn(admission.enter().unwrap().slot());
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(
            (admission.inside(), admission.inner.waiting_now.get()),
            (1, 0)
        );
    }

    #[tokio::test]
    async fn fewer_slots_hold_once_running_calls_end() {
        let admission = admission(2, 5);
        let first = admission.enter().unwrap().slot().await.unwrap();
        let second = admission.enter().unwrap().slot().await.unwrap();
        admission.resize(1, 5);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        let third = tokio::spawn(admission.enter().unwrap().slot());
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(second);
        assert!(third.await.unwrap().is_ok());
    }
}
