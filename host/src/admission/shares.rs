//! How much of something each of many has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each has, by name; whoever has nothing is not in it.
#[derive(Default)]
pub(crate) struct Shares(Mutex<HashMap<String, usize>>);

/// One of somebody's.
pub(crate) struct Share {
    shares: Arc<Shares>,
    whose: String,
}

impl Shares {
    /// One more for somebody, who has fewer than so many.
    pub(crate) fn take(self: &Arc<Self>, whose: &str, most: usize) -> Option<Share> {
        let mut all = self.lock();
        let of_whose = all.entry(whose.to_owned()).or_default();
        if *of_whose >= most {
            return None;
        }
        *of_whose += 1;
        Some(Share {
            shares: self.clone(),
            whose: whose.to_owned(),
        })
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut all = self.shares.lock();
        if let Some(of_whose) = all.get_mut(&self.whose) {
            *of_whose -= 1;
            if *of_whose == 0 {
                all.remove(&self.whose);
            }
        }
    }
}
