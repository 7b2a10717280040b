//! How slowly a body may come: whoever sends one has a place that others wait for.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// So many bytes must come in every so many seconds, or the rest of the body.
const LEAST: usize = 512 << 10;
const WHILE: Duration = Duration::from_secs(20);

/// The pace of one body.
#[derive(Debug)]
pub struct Pace {
    span: Duration,
    end: Instant,
    come: usize,
}

/// The body comes too slowly to go on with it.
#[derive(Debug, thiserror::Error)]
#[error("less than {} KiB of the body came in {} s", LEAST >> 10, WHILE.as_secs())]
pub struct TooSlow;

impl Pace {
    /// Of a body that begins now.
    pub fn begin() -> Self {
        Self::with(WHILE)
    }

    fn with(span: Duration) -> Self {
        Self {
            span,
            end: Instant::now() + span,
            come: 0,
        }
    }

    /// Waits for the next piece, as long as enough has come lately.
    pub async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, TooSlow> {
        let mut next = pin!(next);
        loop {
            match timeout_at(self.end, next.as_mut()).await {
                Ok(piece) => return Ok(piece),
                Err(_) if self.come < LEAST => return Err(TooSlow),
                Err(_) => *self = Self::with(self.span),
            }
        }
    }

    /// So many bytes came.
    pub fn count(&mut self, bytes: usize) {
        self.come += bytes;
        if self.end <= Instant::now() && self.come >= LEAST {
            *self = Self::with(self.span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_fast_enough_may_take_long_and_what_does_not_may_not() {
        let span = Duration::from_millis(200);
        let mut pace = Pace::with(span);
        let begin = Instant::now();
        while begin.elapsed() < 3 * span {
            pace.wait(tokio::time::sleep(span / 40)).await.unwrap();
            pace.count(LEAST);
        }
        // A trickle, after much.
        let begin = Instant::now();
        while pace.wait(tokio::time::sleep(span / 40)).await.is_ok() {
            pace.count(1);
            assert!(begin.elapsed() < 10 * span);
        }
        let mut pace = Pace::with(span);
        assert!(pace.wait(std::future::pending::<()>()).await.is_err());
    }
}
