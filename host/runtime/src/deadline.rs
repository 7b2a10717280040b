//! Until when a call may go on: to the end of its time, and in the host for as long as it can pay for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::meter::Stop;

/// Longer than any call, and little enough to be added to a time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// One call's. The meter says what can be paid for, and whoever waits for the guest looks.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    time: Duration,
    /// Microseconds after the start to which the guest can pay for its wait; all of them while it
    /// does not wait.
    paid: Arc<AtomicU64>,
}

impl Deadline {
    pub(crate) fn new(start: Instant, time: Duration) -> Self {
        Self {
            start,
            time: time.min(LONGEST),
            paid: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// The guest begins to wait, and can pay for so much of it.
    pub(crate) fn begin_wait(&self, now: Instant, patience: Duration) {
        let paid = (now - self.start).saturating_add(patience).as_micros();
        let paid = u64::try_from(paid).unwrap_or(u64::MAX);
        self.paid.store(paid, Relaxed);
    }

    /// It waits no more.
    pub(crate) fn end_wait(&self) {
        self.paid.store(u64::MAX, Relaxed);
    }

    /// Waits for the guest, but not for longer than this.
    pub(crate) async fn bound<T>(&self, guest: impl Future<Output = T>) -> Result<T, Stop> {
        let mut guest = pin!(guest);
        let mut alarm = pin!(sleep_until((self.start + self.time).into()));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = guest.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            let (end, _) = self.end();
            if end < alarm.deadline().into_std() {
                alarm.as_mut().reset(end.into());
            }
            while alarm.as_mut().poll(cx).is_ready() {
                let (end, stop) = self.end();
                if end <= Instant::now() {
                    return Poll::Ready(Err(stop));
                }
                // It was set for a wait that is over.
                alarm.as_mut().reset(end.into());
            }
            Poll::Pending
        })
        .await
    }

    /// When it ends as things are, and of what.
    fn end(&self) -> (Instant, Stop) {
        let paid = Duration::from_micros(self.paid.load(Relaxed));
        if paid < self.time {
            (self.start + paid, Stop::Tokens)
        } else {
            (self.start + self.time, Stop::Time)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn whichever_ends_first() {
        let deadline = Deadline::new(Instant::now(), 20 * MS);
        assert_eq!(deadline.bound(async { 7 }).await, Ok(7));
        assert_eq!(deadline.bound(pending::<()>()).await, Err(Stop::Time));
        assert!(deadline.start.elapsed() >= 20 * MS);

        let deadline = Deadline::new(Instant::now(), 3_600_000 * MS);
        let guest = async {
            // A short wait that is paid for, and what comes after it.
            deadline.begin_wait(Instant::now(), 30 * MS);
            sleep(5 * MS).await;
            deadline.end_wait();
            sleep(60 * MS).await;
            deadline.begin_wait(Instant::now(), 5 * MS);
            pending::<()>().await;
        };
        assert_eq!(deadline.bound(guest).await, Err(Stop::Tokens));
        assert!(deadline.start.elapsed() >= 70 * MS);
    }
}
