//! Work that is done a few at a time, of which no address takes more than half.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places, and who waits for one.
pub(crate) struct Turns {
    places: Arc<Semaphore>,
    /// Of the places.
    share: usize,
    by_address: Mutex<HashMap<Option<IpAddr>, Weak<Semaphore>>>,
}

/// A place, free again when this is dropped: the address' own, and one of all.
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

impl Turns {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            share: (places / 2).max(1),
            by_address: Mutex::default(),
        }
    }

    /// A place for somebody there; none where they waited in vain.
    pub(crate) async fn wait(&self, from: Option<IpAddr>, patience: Duration) -> Option<Turn> {
        let own = self.of(from);
        let turn = async {
            Some(Turn {
                _own: own.acquire_owned().await.ok()?,
                _place: self.places.clone().acquire_owned().await.ok()?,
            })
        };
        tokio::time::timeout(patience, turn).await.ok()?
    }

    fn of(&self, from: Option<IpAddr>) -> Arc<Semaphore> {
        let known = self.by_address.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = known.get(&from).and_then(Weak::upgrade) {
            return own;
        }
        known.retain(|_, own| own.strong_count() > 0);
        let own = Arc::new(Semaphore::new(self.share));
        known.insert(from, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_takes_half() {
        let turns = Turns::new(4);
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|octets| Some(octets.into()));
        let at_once = Duration::ZERO;
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.push(turns.wait(one, at_once).await.expect("a place"));
        }
        assert!(turns.wait(one, at_once).await.is_none());
        let turn = turns.wait(other, at_once).await;
        assert!(turn.is_some());
        taken.pop();
        assert!(turns.wait(one, at_once).await.is_some());
        drop((turn, taken));
        turns.of(None);
        assert_eq!(turns.by_address.lock().unwrap().len(), 1);
    }
}
