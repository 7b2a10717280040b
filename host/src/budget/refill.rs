//! A call's way to the database, where a lease has not enough for it.

use super::charges::Charge;
use super::denial::Told;
use super::{Exhausted, Refused, Shared};
use crate::db::ledger::{self, Asked, Lease, Taken};

impl Shared {
    /// Sees that there are so many tokens in hand, for whoever is first to hold them. One caller asks
    /// at a time, and others have what that one got, or was told.
    pub(super) async fn refill(&self, charge: &Charge, tokens: u64) -> Result<(), Refused> {
        let came_at = self.clock.monotonic();
        let turn = self.hand().turn(charge);
        let mut denial = turn.lock().await;
        let asked_at = self.clock.monotonic();
        let Some((lease, needed)) = self.hand().lack(charge, tokens, asked_at) else {
            return Ok(());
        };
        if let Some(told) = denial.answers(came_at, needed) {
            return Err(self.exhausted(charge, told, tokens, needed));
        }
        match self.take(&lease, needed).await? {
            Taken::Granted { limit, .. } => {
                // Whoever goes on with what was believed would give this lease back at once.
                if limit != charge.budget.tokens {
                    self.known.forget(&charge.budget.place.tenant).await;
                }
                Ok(())
            }
            Taken::Exhausted { limit, left } => {
                let told = Told {
                    asked_at,
                    limit,
                    left,
                };
                denial.tell(told);
                Err(self.exhausted(charge, told, tokens, needed))
            }
            Taken::Lost => {
                self.hand().lose(&lease);
                Ok(())
            }
            Taken::Gone => {
                self.hand().lose(&lease);
                self.known.forget(&charge.budget.place.tenant).await;
                Ok(())
            }
        }
    }

    async fn take(&self, lease: &Lease, needed: u64) -> sqlx::Result<Taken> {
        let term = self.term();
        let asked = Asked {
            needed,
            ends_at: term.ends_at,
        };
        let taken = ledger::take(&self.pool, &self.holder, lease, &asked).await?;
        if let Taken::Granted { tokens, limit } = taken {
            let until = term.usable_until;
            self.hand().granted(lease.clone(), tokens, limit, until);
        }
        Ok(taken)
    }

    /// The refusal. What is wanted and not needed is in hand.
    fn exhausted(&self, charge: &Charge, told: Told, wanted: u64, needed: u64) -> Refused {
        let place = &charge.budget.place;
        Refused::Exhausted(Box::new(Exhausted {
            level: place.level.clone(),
            span: place.span,
            limit: told.limit,
            left: told.left + (wanted - needed),
            wanted,
            refills_at: charge.ends_at.filter(|_| wanted <= told.limit),
        }))
    }
}
