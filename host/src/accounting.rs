//! Whether calls that run are counted: against budgets, in the usage and in the metrics of tools. Where
//! they are not, no budget would hold, so there is none.

use anyhow::bail;
use sqlx::AnyPool;

use crate::app::App;
use crate::db::budgets;
use crate::error::Error;
use crate::settings::Settings;

/// A host that does not count does not start where somebody is bounded.
pub(crate) async fn check(settings: &Settings, pool: &AnyPool) -> anyhow::Result<()> {
    if !settings.accounting && budgets::any(pool).await? {
        bail!(
            "there are budgets, and with --accounting false none would hold: start without that, or \
             remove them first (`soma budget rm`)"
        );
    }
    Ok(())
}

/// Whether there can be a new budget: one that nothing counts against would hold nobody.
pub(crate) fn takes_budgets(app: &App) -> Result<(), Error> {
    if app.settings.accounting {
        return Ok(());
    }
    Err(Error::Conflict(
        "this host counts nothing (--accounting false), so no budget would hold".to_owned(),
    ))
}
