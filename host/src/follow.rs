//! Following the marketplaces' logs in the background: what was revoked is known here within one
//! interval, and a log that contradicts itself is found out.

mod batch;
mod round;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

pub(crate) use self::round::look;
use crate::app::App;
use crate::db;
use crate::db::capsules::origin;
use crate::distrust::Distrust;
use crate::error::Error;
use crate::logs::Source;
use crate::trust::Trust;

/// How often it is seen whether something is due: a log to be looked at, a file to be read again.
const TICK: Duration = Duration::from_millis(250);

/// Follows every log of `marketplaces.toml` until it is dropped.
pub(crate) async fn run(app: Arc<App>) {
    let mut looks = JoinSet::new();
    loop {
        if let Err(error) = reload(&app).await {
            tracing::error!(%error, "the list of marketplaces is refused, the old one stays");
        }
        let trust = app.live().settings.trust.clone();
        let interval = app.restored.interval(trust.revocation_interval);
        for source in app.logs.sources().iter() {
            if source.is_due(interval) {
                looks.spawn(look_logged(app.clone(), source.clone(), trust.clone()));
            }
        }
        app.logs.measure();
        // What cannot be recorded is said elsewhere.
        if app.audit.admit().is_ok()
            && let Err(error) = app.restored.settle(&app).await
        {
            tracing::error!(%error, "the wait after the restore could not be ended");
        }
        tokio::time::sleep(TICK).await;
        while let Some(ended) = looks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a look at a log panicked");
            }
        }
    }
}

/// Reads the file again where it has changed. A marketplace that was removed is forgotten, and what
/// it contradicted with it: that is the operator's word. What it revoked stays so.
pub(crate) async fn reload(app: &App) -> Result<(), Error> {
    let Some(gone) = app.logs.reload().map_err(Distrust::from)? else {
        return Ok(());
    };
    tracing::info!(marketplaces = app.logs.sources().len(), "marketplaces read");
    for log in gone {
        let origin = origin(&log);
        app.metrics.logs.forget(origin);
        db::logs::forget(&app.pool, &log).await?;
        tracing::warn!(
            origin,
            "a marketplace was removed: its revocations do not reach this host any more"
        );
    }
    Ok(())
}

async fn look_logged(app: Arc<App>, source: Arc<Source>, trust: Trust) {
    let origin = source.client.origin();
    let outcome = match look(&app.logs, &source, &trust).await {
        Ok(followed) => {
            let fresh = crate::logs::fresh(&followed, &trust);
            if trust.is_silent(fresh, crate::logs::now()) {
                let what = crate::logs::silent(origin, fresh, &trust);
                tracing::error!(origin, %what, "a log stands still: revocations may be withheld");
                "silent"
            } else {
                "ok"
            }
        }
        Err(Error::Distrust(error)) if is_alarm(&error) => {
            tracing::error!(origin, %error, "a log is not believed any more");
            error.kind().code()
        }
        Err(error) => {
            // The words are for the operator, whom the client's problem would not tell.
            tracing::warn!(origin, %error, "a log could not be followed: revocations do not arrive");
            error.kind().code()
        }
    };
    app.metrics.logs.looked(origin, outcome);
}

fn is_alarm(error: &Distrust) -> bool {
    match error {
        Distrust::Forked { .. } | Distrust::Leaf { .. } => true,
        Distrust::Marketplace(error) => error.is_alarm(),
        _ => false,
    }
}
