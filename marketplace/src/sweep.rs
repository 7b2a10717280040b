//! Files that nothing points to: a publication stores its file first, and may end before its row.

use std::time::Duration;

use crate::app::App;
use crate::db::releases;
use crate::error::Error;

/// A file without a row this long after it was stored belongs to nothing that is under way.
const ORPHAN: Duration = Duration::from_secs(60 * 60);
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Sweeps at start and every hour, for ever.
pub(crate) async fn run(app: &App) {
    let mut interval = tokio::time::interval(EVERY);
    loop {
        interval.tick().await;
        match sweep(app, ORPHAN).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "files that no version uses are gone"),
            Err(error) => tracing::warn!(%error, "files could not be swept"),
        }
    }
}

/// Deletes the files older than `age` that no version and no review uses. Gives their number.
pub(crate) async fn sweep(app: &App, age: Duration) -> Result<usize, Error> {
    let mut swept = 0;
    for digest in app.blobs.older_than(age).await? {
        let _alone = app.settling.write().await;
        if !releases::uses(&app.pool, &digest).await? {
            app.blobs.delete(&digest).await?;
            swept += 1;
        }
    }
    Ok(swept)
}
