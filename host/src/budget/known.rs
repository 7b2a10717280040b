//! Which budgets a call counts against, remembered for a moment.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use moka::future::Cache;
use sqlx::AnyPool;

use super::charges::Charges;
use super::{Payer, Refused, Span};
use crate::db::budgets::{self, Budget, SetError};

/// How long a look-up is believed: the time within which a change made by another host holds here
/// too.
const BELIEVED: Duration = Duration::from_secs(5);
/// Tenants, and payers of each, that are remembered.
const REMEMBERED: u64 = 10_000;

/// The budgets of one payer.
pub(super) struct Found {
    budgets: Vec<Arc<Budget>>,
    /// What the newest call needed tokens of.
    charges: ArcSwapOption<Charges>,
}

/// By tenant. What is forgotten is all that was looked up for the tenant, and where look-ups that are
/// under way put what they find.
pub(super) struct Known(Cache<String, Arc<Payers>>);

/// One tenant's, by their names.
struct Payers(Cache<String, Arc<Found>>);

impl Known {
    pub(super) fn new() -> Self {
        let tenants = Cache::builder().max_capacity(REMEMBERED);
        Self(tenants.time_to_live(BELIEVED).build())
    }

    pub(super) async fn forget(&self, tenant: &str) {
        self.0.invalidate(tenant).await;
    }

    /// The payer's budgets, with that of its session as narrow as the call has it.
    pub(super) async fn budgets(
        &self,
        pool: &AnyPool,
        payer: &Payer<'_>,
    ) -> Result<Arc<Found>, Refused> {
        let payers = async { Arc::new(Payers(Cache::new(REMEMBERED))) };
        let payers = self.0.get_with_by_ref(payer.tenant, payers).await;
        let found = payers.find(pool, payer).await?;
        let Some((session, most)) = payer.narrowing().filter(|(_, most)| !found.holds(*most))
        else {
            return Ok(found);
        };
        budgets::narrow(pool, payer.tenant, payer.key, session, most).await?;
        // Looked up anew, since a look-up that is under way may have seen what was before.
        let found = of_payer(pool, payer).await?;
        let name = payer.name().into_owned();
        payers.0.insert(name, found.clone()).await;
        Ok(found)
    }
}

impl Payers {
    async fn find(&self, pool: &AnyPool, payer: &Payer<'_>) -> sqlx::Result<Arc<Found>> {
        let name = payer.name();
        if let Some(found) = self.0.get(&*name).await {
            return Ok(found);
        }
        let look = of_payer(pool, payer);
        let found = self.0.try_get_with(name.into_owned(), look).await;
        found.map_err(own)
    }
}

impl Found {
    /// What a call of this moment needs tokens of.
    pub(super) fn charges(&self, moment: Timestamp) -> Arc<Charges> {
        let newest = self.charges.load_full();
        if let Some(charges) = newest.filter(|charges| charges.are_of(moment)) {
            return charges;
        }
        let charges = Arc::new(Charges::at(moment, &self.budgets));
        self.charges.store(Some(charges.clone()));
        charges
    }

    /// Whether the session is held to so many tokens, or fewer.
    fn holds(&self, most: u64) -> bool {
        self.budgets.iter().any(|budget| {
            let is_lifetime = budget.place.span == Span::Lifetime;
            let is_session = budget.place.level.session().is_some();
            is_session && is_lifetime && budget.is_hard && budget.tokens <= most
        })
    }
}

async fn of_payer(pool: &AnyPool, payer: &Payer<'_>) -> sqlx::Result<Arc<Found>> {
    let session = payer.session.as_ref().map(|session| &session.id);
    let found = budgets::of_calls(pool, payer.tenant, payer.key, session).await?;
    Ok(Arc::new(Found {
        budgets: found.into_iter().map(Arc::new).collect(),
        charges: ArcSwapOption::empty(),
    }))
}

/// An error that several may share, as one's own: `Error::kind` looks into it.
fn own(error: Arc<sqlx::Error>) -> sqlx::Error {
    Arc::try_unwrap(error).unwrap_or_else(|error| sqlx::Error::AnyDriverError(Box::new(error)))
}

impl From<SetError> for Refused {
    fn from(error: SetError) -> Self {
        match error {
            SetError::TooManySessions => Self::TooManySessions,
            SetError::Database(error) => Self::Database(error),
            // The key has been deleted since the call came.
            SetError::NoSuchLevel | SetError::TooLarge => Self::Database(sqlx::Error::RowNotFound),
        }
    }
}
