//! What one call may spend: what its caller says, held of every budget that it counts against.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::Timestamp;
use soma_capability::{Limits, Prices};
use soma_runtime::Allowance;

use super::{Payer, Refused, Reservation, Session};
use crate::accounting;
use crate::app::{App, AppState};
use crate::db::{budgets, ledger, usage};
use crate::error::Error;
use crate::invoke::Origin;
use crate::terms::Terms;

/// How often the database is told what was spent.
const ROUND: Duration = Duration::from_secs(1);
/// How often it is seen what can be forgotten.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The tokens of one call.
pub(crate) struct Spending {
    pub(crate) allowance: Allowance,
    /// None within another call, which pays for it, and where nothing is counted.
    pub(crate) reservation: Option<Reservation>,
}

/// Holds what a call may cost: the smaller of what its caller and its key say, else what its limits
/// come to. Where nobody says anything and no budget is there, it is counted and not bounded.
pub(crate) async fn hold(
    app: &App,
    prices: &Prices,
    origin: &Origin,
    terms: Terms,
    limits: &Limits,
) -> Result<Spending, Error> {
    if let Some(within) = origin.within {
        return Ok(Spending {
            allowance: within.left.allowance,
            reservation: None,
        });
    }
    let caller = &origin.caller;
    let said = [terms.most.map(NonZeroU64::get), caller.max_tokens()];
    let most = said.into_iter().flatten().min();
    if !app.settings.accounting {
        return uncounted(app, prices, most, terms.session.as_ref());
    }
    let payer = Payer {
        tenant: caller.tenant_id(),
        key: caller.key_id(),
        session: terms.session,
    };
    let reservation = match most {
        Some(tokens) => app.budgets.reserve(&payer, tokens).await?,
        None => reserve_what_there_is(app, &payer, prices.of_limits(limits)).await?,
    };
    let is_bounded = most.is_some() || reservation.is_bound();
    Ok(Spending {
        allowance: allowance(prices, is_bounded.then(|| reservation.tokens())),
        reservation: Some(reservation),
    })
}

/// Holds nothing of anything. What was said of the call alone bounds it all the same.
fn uncounted(
    app: &App,
    prices: &Prices,
    most: Option<u64>,
    session: Option<&Session>,
) -> Result<Spending, Error> {
    if session.is_some_and(|session| session.most.is_some()) {
        accounting::takes_budgets(app)?;
    }
    Ok(Spending {
        allowance: allowance(prices, most),
        reservation: None,
    })
}

fn allowance(prices: &Prices, most: Option<u64>) -> Allowance {
    match most {
        Some(tokens) => Allowance::tokens(*prices, tokens),
        None => Allowance::unbounded(*prices),
    }
}

/// Nobody has said that the call needs so many: it makes do with what is left, where that is less.
async fn reserve_what_there_is(
    app: &App,
    payer: &Payer<'_>,
    mut tokens: u64,
) -> Result<Reservation, Refused> {
    loop {
        match app.budgets.reserve(payer, tokens).await {
            Err(Refused::Exhausted(short)) if tokens > 1 => {
                tokens = short.left.clamp(1, tokens - 1);
            }
            reserved => return reserved,
        }
    }
}

/// Tells the database over and over, until it is dropped, what was spent and used.
pub(crate) async fn run(app: AppState) {
    let mut is_away = false;
    loop {
        tokio::time::sleep(ROUND).await;
        let told = settle(&app).await;
        if let Err(error) = &told
            && !is_away
        {
            tracing::error!(%error, "what calls spent could not be written down; it is tried again");
        }
        is_away = told.is_err();
        app.metrics.spending.settled(!is_away);
    }
}

/// Writes down what was used and spent so far.
async fn settle(app: &App) -> sqlx::Result<()> {
    let (spent, used) = (app.budgets.tick().await, app.usage.settle().await);
    spent.and(used)
}

/// Forgets sessions that nobody uses any more, and windows and usage of long ago.
pub(crate) async fn sweep(app: AppState) {
    loop {
        let now = Timestamp::now();
        let keep = app.live().settings.keep;
        let swept = async {
            budgets::forget_idle(&app.pool, now).await?;
            ledger::forget_old(&app.pool, now, keep.ledger).await?;
            match keep.usage {
                Some(days) => usage::forget_old(&app.pool, now, days).await,
                None => Ok(()),
            }
        };
        if let Err(error) = swept.await {
            tracing::error!(%error, "old budgets could not be forgotten");
        }
        tokio::time::sleep(SWEEP).await;
    }
}
