//! What time it is: by the calendar, for windows and for other hosts, and since the start, for
//! everything that safety or patience hangs on.

#[cfg(test)]
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The system's time, or a test's.
#[derive(Clone)]
pub(crate) enum Clock {
    System(Instant),
    #[cfg(test)]
    Driven(Arc<Mutex<Driven>>),
}

/// What a test says that time it is.
#[cfg(test)]
pub(crate) struct Driven {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Duration,
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    /// The calendar's time. It may jump, and differ from another host's.
    pub(super) fn wall(&self) -> Timestamp {
        match self {
            Self::System(_) => Timestamp::now(),
            #[cfg(test)]
            Self::Driven(driven) => lock(driven).wall,
        }
    }

    /// The time since some moment; it only grows.
    pub(super) fn monotonic(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            #[cfg(test)]
            Self::Driven(driven) => lock(driven).monotonic,
        }
    }
}

#[cfg(test)]
fn lock(driven: &Mutex<Driven>) -> std::sync::MutexGuard<'_, Driven> {
    driven.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Clock {
    pub(crate) fn driven(wall: Timestamp) -> Self {
        let monotonic = Duration::ZERO;
        Self::Driven(Arc::new(Mutex::new(Driven { wall, monotonic })))
    }

    /// Lets time pass, on both.
    pub(crate) fn advance(&self, by: Duration) {
        if let Self::Driven(driven) = self {
            let mut driven = lock(driven);
            driven.wall += by;
            driven.monotonic += by;
        }
    }

    /// Sets the calendar back, which the time since the start does not notice.
    pub(crate) fn set_back(&self, by: Duration) {
        if let Self::Driven(driven) = self {
            lock(driven).wall -= by;
        }
    }
}
