//! The slots that calls run in, and the line before them. Tenants get slots in turn: in each round
//! every one that waits gets one, and whoever had one without waiting has had its turn. Within a
//! tenant it is first come, first served.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::tenants::Tenant;

/// All slots, and all who wait for one.
pub(super) struct Queue(Mutex<State>);

/// While anybody waits, no slot is free.
struct State {
    slots: usize,
    /// Can be more than there are slots, where there were more.
    taken: usize,
    round: u64,
    /// No line is empty.
    lines: VecDeque<Line>,
    next_id: u64,
}

/// Those of one tenant who wait, the next first.
struct Line {
    tenant: Arc<Tenant>,
    waiting: VecDeque<Waiting>,
}

/// Ids are in order within a line.
struct Waiting {
    id: u64,
    called: Arc<Notify>,
}

/// A slot. Dropping it gives it to the next.
pub(super) struct Taken(Arc<Queue>);

/// Whoever waits. Dropping it gives up.
struct InLine<'a> {
    queue: &'a Queue,
    tenant: &'a Arc<Tenant>,
    id: u64,
    is_served: bool,
}

impl Queue {
    pub(super) fn new(slots: usize) -> Self {
        Self(Mutex::new(State {
            slots,
            taken: 0,
            round: 1,
            lines: VecDeque::new(),
            next_id: 0,
        }))
    }

    /// A slot, where one is free.
    pub(super) fn take(self: &Arc<Self>, tenant: &Tenant) -> Option<Taken> {
        let mut state = self.lock();
        if !state.has_free() || !state.lines.is_empty() {
            return None;
        }
        state.give(tenant);
        Some(Taken(self.clone()))
    }

    /// A slot, when it is the tenant's turn.
    pub(super) async fn wait(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Taken {
        let called = Arc::new(Notify::new());
        // One may have been given back since it was looked for: then this calls itself.
        let id = self.change(|state| state.stand(tenant, &called));
        let mut place = InLine {
            queue: self,
            tenant,
            id,
            is_served: false,
        };
        called.notified().await;
        place.is_served = true;
        Taken(self.clone())
    }

    /// So many slots from now on. Those that are taken beyond them go when they are given back.
    pub(super) fn resize(&self, slots: usize) {
        self.change(|state| state.slots = slots);
    }

    /// Slots that nobody has.
    pub(super) fn free(&self) -> usize {
        let state = self.lock();
        state.slots.saturating_sub(state.taken)
    }

    /// Changes something, and calls those who have a slot by it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let changed = change(&mut state);
        let mut next = state.serve();
        drop(state);
        // Not under the lock: to wake somebody can run code that comes back here.
        while let Some(called) = next {
            called.notify_one();
            next = self.lock().serve();
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_free(&self) -> bool {
        self.taken < self.slots
    }

    fn give(&mut self, tenant: &Tenant) {
        if tenant.served.load(Relaxed) == self.round {
            self.round += 1;
        }
        tenant.served.store(self.round, Relaxed);
        self.taken += 1;
    }

    /// Gives a free slot to whose turn it is. Whoever it is must be called.
    fn serve(&mut self) -> Option<Arc<Notify>> {
        if !self.has_free() {
            return None;
        }
        let is_due = |line: &Line| line.tenant.served.load(Relaxed) != self.round;
        // Where nobody is due in this round, the next one begins.
        let at = self.lines.iter().position(is_due).unwrap_or(0);
        let mut line = self.lines.remove(at)?;
        let next = line.waiting.pop_front()?;
        self.give(&line.tenant);
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        Some(next.called)
    }

    fn stand(&mut self, tenant: &Arc<Tenant>, called: &Arc<Notify>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let waiting = Waiting {
            id,
            called: called.clone(),
        };
        match self.line_of(tenant) {
            Some(at) => self.lines[at].waiting.push_back(waiting),
            None => self.lines.push_back(Line {
                tenant: tenant.clone(),
                waiting: VecDeque::from([waiting]),
            }),
        }
        id
    }

    /// Takes somebody out of the line. False where nobody of that id is in it any more.
    fn leave(&mut self, tenant: &Arc<Tenant>, id: u64) -> bool {
        let Some(at) = self.line_of(tenant) else {
            return false;
        };
        let waiting = &mut self.lines[at].waiting;
        let Ok(place) = waiting.binary_search_by_key(&id, |waiting| waiting.id) else {
            return false;
        };
        waiting.remove(place);
        if waiting.is_empty() {
            self.lines.remove(at);
        }
        true
    }

    fn line_of(&self, tenant: &Arc<Tenant>) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| Arc::ptr_eq(&line.tenant, tenant))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.change(|state| state.taken -= 1);
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.is_served {
            return;
        }
        self.queue.change(|state| {
            // Whoever is not in line any more was given a slot, and never learned of it.
            if !state.leave(self.tenant, self.id) {
                state.taken -= 1;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Duration;

    use futures::FutureExt as _;
    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    type Wait<'a> = Pin<Box<dyn Future<Output = Taken> + 'a>>;

    fn queue(slots: usize) -> Arc<Queue> {
        Arc::new(Queue::new(slots))
    }

    fn tenants() -> [Arc<Tenant>; 3] {
        std::array::from_fn(|_| Arc::default())
    }

    /// In line from now on.
    fn stand<'a>(queue: &'a Arc<Queue>, tenant: &'a Arc<Tenant>) -> Wait<'a> {
        let mut wait: Wait<'a> = Box::pin(queue.wait(tenant));
        assert!(now(&mut wait).is_none());
        wait
    }

    fn now(wait: &mut Wait<'_>) -> Option<Taken> {
        wait.as_mut().now_or_never()
    }

    /// Whose calls get the slot, one after the other.
    fn order(mut held: Taken, mut waiting: Vec<(&'static str, Wait<'_>)>) -> Vec<&'static str> {
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held);
            let served = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(at, (_, wait))| Some((at, now(wait)?)));
            let (at, taken) = served.unwrap();
            held = taken;
            order.push(waiting.remove(at).0);
        }
        drop(held);
        order
    }

    #[test]
    fn tenants_get_slots_in_turn() {
        let (queue, [a, b, c]) = (queue(1), tenants());
        let held = queue.take(&a).unwrap();
        assert!(queue.take(&b).is_none());
        let come = [
            ("a", &a),
            ("a", &a),
            ("a", &a),
            ("b", &b),
            ("b", &b),
            ("c", &c),
        ];
        let waiting = come.map(|(name, tenant)| (name, stand(&queue, tenant)));
        // The first slot was a's.
        assert_eq!(order(held, waiting.into()), ["b", "c", "a", "b", "a", "a"]);
        assert_eq!(queue.free(), 1);
    }

    #[test]
    fn whoever_comes_again_and_again_keeps_nobody_waiting() {
        let (queue, [a, b, c]) = (queue(1), tenants());
        let held = queue.take(&a).unwrap();
        let mut of_a = stand(&queue, &a);
        let mut first = stand(&queue, &b);
        let mut second = stand(&queue, &c);
        drop(held);
        let held = now(&mut first).unwrap();
        let mut again = stand(&queue, &b);
        drop(held);
        let held = now(&mut second).unwrap();
        let mut once_more = stand(&queue, &c);
        drop(held);
        let held = now(&mut of_a).unwrap();
        assert!(now(&mut again).is_none());
        drop(held);
        let held = now(&mut again).unwrap();
        drop(held);
        assert!(now(&mut once_more).is_some());
    }

    #[test]
    fn whoever_gives_up_leaves_the_slot_to_the_next() {
        let (queue, [a, b, c]) = (queue(1), tenants());
        let held = queue.take(&a).unwrap();
        let gone = stand(&queue, &b);
        let mut of_c = stand(&queue, &c);
        drop(gone);
        drop(held);
        let held = now(&mut of_c).unwrap();

        let called = stand(&queue, &b);
        let mut of_a = stand(&queue, &a);
        // It is b's now, who never looks.
        drop(held);
        assert!(now(&mut of_a).is_none());
        drop(called);
        let held = now(&mut of_a).unwrap();
        drop(held);
        assert_eq!(queue.free(), 1);
        assert!(queue.lock().lines.is_empty());
    }

    #[test]
    fn fewer_and_more_slots() {
        let (queue, [a, b, c]) = (queue(2), tenants());
        let (first, second) = (queue.take(&a).unwrap(), queue.take(&a).unwrap());
        queue.resize(1);
        let mut of_b = stand(&queue, &b);
        drop(first);
        assert!(now(&mut of_b).is_none());
        drop(second);
        let held = now(&mut of_b).unwrap();

        let (mut of_a, mut of_c) = (stand(&queue, &a), stand(&queue, &c));
        queue.resize(4);
        let both = (now(&mut of_a).unwrap(), now(&mut of_c).unwrap());
        assert_eq!(queue.free(), 1);
        drop((held, both));
        assert_eq!(queue.free(), 4);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_slot_is_lost_however_many_give_up() {
        let (queue, tenants) = (queue(3), tenants());
        let calls = (0..2000_u64).zip(tenants.iter().cycle());
        let calls: Vec<_> = calls
            .map(|(call, tenant)| {
                let (queue, tenant) = (queue.clone(), tenant.clone());
                let run = async move {
                    let _taken = match queue.take(&tenant) {
                        Some(taken) => taken,
                        None => queue.wait(&tenant).await,
                    };
                    sleep(Duration::from_micros(call * 104_729 % 300)).await;
                };
                // Some give up at once, some after a while.
                let patience = Duration::from_micros(call * 7919 % 20_000);
                tokio::spawn(timeout(patience, run))
            })
            .collect();
        for slots in [1, 7, 2, 3] {
            queue.resize(slots);
            sleep(Duration::from_millis(2)).await;
        }
        let ended = join_all(calls).await;
        let ran = ended
            .into_iter()
            .filter(|call| call.as_ref().unwrap().is_ok());
        assert!(ran.count() > 0);
        assert_eq!(queue.free(), 3);
        assert!(queue.lock().lines.is_empty());
    }
}
