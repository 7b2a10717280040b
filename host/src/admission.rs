//! Admission: how many calls run at once and how many wait. Whoever comes when all places are
//! taken is turned away at once, since a queue that grows only makes everybody late. Those who wait
//! get slots in turn, tenant by tenant.

mod fullness;
mod queue;
mod shares;
mod tenants;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::queue::{Queue, Taken};
pub(crate) use self::shares::Share;
use self::shares::Shares;
use self::tenants::{Coming, Tenants};
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
    slots: Arc<Queue>,
    tenants: Tenants,
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
    installing: Shares,
    /// Calls whose bodies are being received.
    receiving: Shares,
    waiting_now: IntGauge,
    running_now: IntGauge,
}

/// The right to be inside: a call that runs, waits, or is still being received.
pub(crate) struct Place {
    inner: Arc<Inner>,
    /// Until it has a slot.
    coming: Option<Coming>,
    /// Whether it is a part of a call that is inside already.
    is_within: bool,
}

/// The right to install.
pub(crate) struct InstallPlace {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

/// The right to run.
pub(crate) struct Slot {
    _taken: Option<Taken>,
    _within: Option<OwnedSemaphorePermit>,
    place: Place,
    has_waited: bool,
}

impl Admission {
    pub(crate) fn new(
        concurrent: u32,
        waiting: u32,
        waiting_now: IntGauge,
        running_now: IntGauge,
    ) -> Self {
        let inner = Inner {
            slots: Arc::new(Queue::new(concurrent as usize)),
            tenants: Tenants::default(),
            concurrent: AtomicUsize::new(concurrent as usize),
            waiting: AtomicUsize::new(waiting as usize),
            inside: AtomicUsize::new(0),
            within: Arc::new(Semaphore::new(within(concurrent) as usize)),
            checks: Arc::new(Semaphore::new(cores())),
            installs: Arc::new(Semaphore::new(INSTALLS)),
            installing: Shares::default(),
            receiving: Shares::default(),
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
        inner.concurrent.store(concurrent as usize, Relaxed);
        inner.slots.resize(concurrent as usize);
    }

    /// A place, or the news that there is none. A tenant waits in half of them at most.
    pub(crate) fn enter(&self, tenant: &str) -> Result<Place, Error> {
        let inner = &self.inner;
        let coming = inner.tenants.come(tenant);
        let of_tenant = coming.of_tenant();
        // Dropping the place gives both counts back.
        let is_full = inner.inside.fetch_add(1, Relaxed) >= inner.places();
        let place = Place {
            inner: inner.clone(),
            coming: Some(coming),
            is_within: false,
        };
        if is_full {
            return Err(Error::Overloaded("running and waiting calls"));
        }
        let most = inner.waiting_of_one();
        // Those that find a free slot do not wait.
        if of_tenant > most && of_tenant > most + inner.slots.free() {
            return Err(Error::Overloaded("waiting calls of one tenant"));
        }
        Ok(place)
    }

    /// The place of a call within a call.
    pub(crate) fn enter_within(&self) -> Place {
        Place {
            inner: self.inner.clone(),
            coming: None,
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

/// How many calls within calls there may be beside so many calls.
pub(crate) fn within(concurrent: u32) -> u32 {
    concurrent.min(WITHIN)
}

/// How many things that take a core each go on at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Place {
    /// Waits for a slot to run in, in turn with the other tenants that do; at once or never, within a
    /// call.
    pub(crate) async fn slot(mut self) -> Result<Slot, Error> {
        let Some(coming) = self.coming.take() else {
            let permit = self.inner.within.clone().try_acquire_owned();
            let permit = permit.map_err(|_| Error::Overloaded("calls within calls"))?;
            return Ok(Slot::new(self, None, Some(permit), false));
        };
        let slots = &self.inner.slots;
        let at_once = slots.take(coming.tenant());
        let has_waited = at_once.is_none();
        let taken = match at_once {
            Some(taken) => taken,
            None => {
                let _waiting = Counted::new(&self.inner.waiting_now);
                slots.wait(coming.tenant()).await
            }
        };
        Ok(Slot::new(self, Some(taken), None, has_waited))
    }
}

impl Slot {
    fn new(
        place: Place,
        taken: Option<Taken>,
        within: Option<OwnedSemaphorePermit>,
        has_waited: bool,
    ) -> Self {
        place.inner.running_now.inc();
        Self {
            _taken: taken,
            _within: within,
            place,
            has_waited,
        }
    }

    /// Whether it was not there at once, so that other things may have changed meanwhile.
    pub(crate) fn has_waited(&self) -> bool {
        self.has_waited
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
        let running = admission.enter("a").unwrap().slot().await.unwrap();
        let waiting = tokio::spawn(admission.enter("a").unwrap().slot());
        tokio::task::yield_now().await;
        assert_eq!(admission.inner.waiting_now.get(), 1);
        assert!(matches!(admission.enter("a"), Err(Error::Overloaded(_))));

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
    async fn one_tenant_waits_in_half_the_places() {
        let admission = admission(2, 20);
        let mut half: Vec<_> = (0..12).map(|_| admission.enter("a").unwrap()).collect();
        // Two of them have slots to go to.
        assert!(matches!(admission.enter("a"), Err(Error::Overloaded(_))));
        let others = admission.enter("b").unwrap();
        let first = half.pop().unwrap().slot().await.unwrap();
        let second = others.slot().await.unwrap();
        assert!(matches!(admission.enter("a"), Err(Error::Overloaded(_))));
        drop(half.pop());
        drop(second);
        assert!(admission.enter("a").is_ok());
        drop((half, first));
        assert_eq!(admission.inside(), 0);
    }

    #[tokio::test]
    async fn a_slot_goes_to_whom_it_is_the_turn_of() {
        let admission = admission(1, 20);
        let running = admission.enter("a").unwrap().slot().await.unwrap();
        let flood: Vec<_> = (0..5)
            .map(|_| tokio::spawn(admission.enter("a").unwrap().slot()))
            .collect();
        tokio::task::yield_now().await;
        let other = tokio::spawn(admission.enter("b").unwrap().slot());
        tokio::task::yield_now().await;
        assert_eq!(admission.inner.waiting_now.get(), 6);
        drop(running);
        assert!(other.await.unwrap().is_ok());
        for call in flood {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!(admission.inside(), 0);
    }

    #[tokio::test]
    async fn calls_within_calls_wait_for_nobody() {
        let admission = admission(1, 0);
        let outer = admission.enter("a").unwrap().slot().await.unwrap();
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
        assert!(admission.inner.receiving.is_empty());
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
        let _running = admission.enter("a").unwrap().slot().await.unwrap();
        let waiting = tokio::spawn(admission.enter("a").unwrap().slot());
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
        let first = admission.enter("a").unwrap().slot().await.unwrap();
        let second = admission.enter("a").unwrap().slot().await.unwrap();
        admission.resize(1, 5);
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        let third = tokio::spawn(admission.enter("a").unwrap().slot());
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(second);
        assert!(third.await.unwrap().is_ok());
    }
}
