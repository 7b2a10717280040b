//! The time. The host's clock is coarse on purpose; [`std::time::SystemTime`] works too.
//!
//! ```
//! use soma_sdk::clock;
//!
//! let year = clock::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() / 31_556_952 + 1970;
//! assert!(year >= 2026);
//! # Ok::<(), soma_sdk::Error>(())
//! ```
//!
//! ```
//! # use soma_sdk::{Error, clock};
//! # use std::time::Duration;
//! // Give up in time to say something useful: a call that passes the host's bound just ends.
//! fn check(bound: Duration) -> Result<(), Error> {
//!     if clock::elapsed() >= bound {
//!         return Err(Error::upstream("the service takes too long", None));
//!     }
//!     Ok(())
//! }
//! assert!(check(Duration::ZERO).is_err());
//! ```

use std::time::{Duration, SystemTime};

/// The time of day.
#[cfg(target_family = "wasm")]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(crate::bindings::soma::capsule::clock::now())
}

/// How long the call has been going on. Never goes back.
#[cfg(target_family = "wasm")]
pub fn elapsed() -> Duration {
    Duration::from_millis(crate::bindings::soma::capsule::clock::elapsed())
}

/// The time of day.
#[cfg(not(target_family = "wasm"))]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// How long the call has been going on. Never goes back. Natively, where no call begins, it
/// counts from the first time it is asked.
#[cfg(not(target_family = "wasm"))]
pub fn elapsed() -> Duration {
    static BEGAN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(std::time::Instant::now).elapsed()
}
