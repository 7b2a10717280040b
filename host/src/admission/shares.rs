//! How much of something each of many has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::by_name::{ByName, Passing};

/// How much each has, by name.
#[derive(Default)]
pub(super) struct Shares(ByName<AtomicUsize>);

/// One of somebody's.
pub(crate) struct Share(Arc<AtomicUsize>);

impl Passing for AtomicUsize {}

impl Shares {
    /// One more for somebody, who has fewer than so many.
    pub(super) fn take(&self, whose: &str, most: usize) -> Option<Share> {
        let of_whose = self.0.get(whose);
        let one_more = |has| (has < most).then_some(has + 1);
        let taken = of_whose.fetch_update(Relaxed, Relaxed, one_more).is_ok();
        taken.then(|| Share(of_whose))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.all().iter().all(|has| has.load(Relaxed) == 0)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
