//! Links that a test gives.

use std::cell::Cell;

use crate::bindings::soma::capsule::http::Error;

thread_local! {
    static GIVEN: Cell<bool> = const { Cell::new(false) };
}

/// Links to everything for this thread, as long as the value lives; without it they are denied. They
/// have the form of signed ones, and open nothing.
#[derive(Debug)]
#[must_use = "there are links only while this value lives: `let _links = …`"]
pub struct Links(());

impl Links {
    /// From now on.
    #[expect(
        clippy::new_without_default,
        reason = "a default would not be seen to act"
    )]
    pub fn new() -> Self {
        GIVEN.set(true);
        Self(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        GIVEN.set(false);
    }
}

pub(crate) fn presign(_method: &str, url: &str, seconds: u32) -> Result<String, Error> {
    if !GIVEN.get() {
        let why = "this test gives no links: `testing::Links::new()` does";
        return Err(Error::Denied(why.to_owned()));
    }
    if !(1..=900).contains(&seconds) {
        let why = "a link is good for 1 to 900 seconds";
        return Err(Error::InvalidRequest(why.to_owned()));
    }
    let between = if url.contains('?') { '&' } else { '?' };
    Ok(format!(
        "{url}{between}X-Amz-Expires={seconds}&X-Amz-Signature=0"
    ))
}
