//! Settings that a test gives.

use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static GIVEN: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// The settings of this thread for as long as the value lives; others have no value.
#[derive(Debug)]
#[must_use = "settings have values only while this value lives: `let _settings = …`"]
pub struct Settings(());

impl Settings {
    /// None has a value.
    #[expect(
        clippy::new_without_default,
        reason = "a default would not be seen to act"
    )]
    pub fn new() -> Self {
        GIVEN.with_borrow_mut(BTreeMap::clear);
        Self(())
    }

    /// This one has this value.
    pub fn with(self, key: &str, value: &str) -> Self {
        GIVEN.with_borrow_mut(|given| given.insert(key.to_owned(), value.to_owned()));
        self
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        GIVEN.with_borrow_mut(BTreeMap::clear);
    }
}

pub(crate) fn setting(key: &str) -> Option<String> {
    GIVEN.with_borrow(|given| given.get(key).cloned())
}
