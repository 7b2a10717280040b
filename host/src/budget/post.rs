//! What the database is told of leases, now and then: what was spent, what is given back.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;

use super::hand::Due;
use super::{RESERVING, SETTLING, Shared};
use crate::db::ledger;

/// Things told at once. Others are for who calls.
const AT_ONCE: usize = 4;

/// How long a lease is good for, where the database is asked now.
pub(super) struct Term {
    /// By the monotonic clock: until when calls may hold any of it.
    pub(super) usable_until: Duration,
    /// By the calendar: when others may take it for lost.
    pub(super) ends_at: Timestamp,
}

impl Shared {
    /// Read before the request is sent, so that the lease ends later than this host believes.
    pub(super) fn term(&self) -> Term {
        let lasts = RESERVING + self.longest_call + SETTLING;
        let ends_at = self.clock.wall().checked_add(lasts);
        Term {
            usable_until: self.clock.monotonic() + RESERVING,
            ends_at: ends_at.unwrap_or(Timestamp::MAX),
        }
    }

    /// Tells everything that is due. What fails is due again.
    pub(super) async fn post(&self) -> sqlx::Result<()> {
        let due = self.hand().due(self.clock.monotonic(), self.clock.wall());
        let told = stream::iter(due).map(|due| self.tell(due));
        told.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn tell(&self, due: Due) -> sqlx::Result<()> {
        match due {
            Due::Post(lease, spent) => {
                // A lease in use gets a new end with what is posted, rather than being settled and
                // taken anew: calls that hold some of it need not end first, and nobody waits.
                let term = self.term();
                let posted =
                    ledger::post(&self.pool, &self.holder, &lease, spent, term.ends_at).await?;
                if posted {
                    self.hand().posted(&lease, spent, term.usable_until);
                } else {
                    self.hand().lose(&lease);
                }
            }
            Due::Settle(lease, spent) => {
                ledger::settle(&self.pool, &self.holder, &lease, spent).await?;
                self.hand().settled(&lease);
            }
            Due::Count(window, movement, used) => {
                ledger::count(&self.pool, &window, movement, used).await?;
                self.hand().counted(&window);
            }
        }
        Ok(())
    }
}
