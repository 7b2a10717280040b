//! What calls share by a name: made for the first of them, forgotten some time after the last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

/// As many are remembered before it is seen which can be forgotten.
const MANY: usize = 10_000;

/// One of each name: there are no two while anybody has one of them. The names are ids that a host
/// made, or those of what is installed: nobody makes as many as they like.
pub(crate) struct ByName<T>(Mutex<All<T>>);

struct All<T> {
    of_names: FxHashMap<Box<str>, Arc<T>>,
    /// When there are so many, it is seen which can be forgotten.
    many: usize,
}

/// What is made when it is first asked for.
pub(crate) trait Passing: Default {
    /// Whether, with nobody who has it, it is as good as a new one.
    fn is_over(&self) -> bool {
        true
    }
}

impl<T: Passing> ByName<T> {
    /// The one of this name.
    pub(crate) fn get(&self, name: &str) -> Arc<T> {
        let mut all = self.lock();
        if let Some(known) = all.of_names.get(name) {
            return known.clone();
        }
        if all.of_names.len() >= all.many {
            all.forget();
        }
        let new = Arc::<T>::default();
        all.of_names.insert(name.into(), new.clone());
        new
    }

    /// All that are remembered.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().of_names.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, All<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Mutex::new(All {
            of_names: FxHashMap::default(),
            many: MANY,
        }))
    }
}

impl<T: Passing> All<T> {
    fn forget(&mut self) {
        self.of_names
            .retain(|_, it| Arc::strong_count(it) > 1 || !it.is_over());
        // Where all are needed, not with each that comes.
        self.many = MANY.max(2 * self.of_names.len());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Passing for Flag {
        fn is_over(&self) -> bool {
            !self.0.load(Relaxed)
        }
    }

    #[test]
    fn what_somebody_has_or_needs_is_not_forgotten() {
        let flags = ByName::<Flag>::default();
        let had = flags.get("had");
        flags.get("needed").0.store(true, Relaxed);
        for n in 0..3 * MANY {
            flags.get(&n.to_string());
        }
        assert!(flags.all().len() <= MANY);
        assert!(Arc::ptr_eq(&had, &flags.get("had")));
        assert!(flags.get("needed").0.load(Relaxed));
    }

    #[test]
    fn where_all_are_needed_there_is_room_for_more() {
        let flags = ByName::<Flag>::default();
        let had: Vec<_> = (0..3 * MANY).map(|n| flags.get(&n.to_string())).collect();
        assert_eq!(flags.all().len(), had.len());
        drop(had);
        flags.lock().forget();
        assert_eq!(flags.all().len(), 0);
    }
}
