//! After a restore the host knows of revocations only what was known when the backup was taken. No call
//! runs until the logs of all its marketplaces have said what was revoked since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use soma_registry::{MARKETPLACES_FILE, owner_only};

use crate::app::App;
use crate::audit::{Entry, Event};
use crate::error::Error;
use crate::logs::Logs;

/// In the data folder while the host waits.
const FILE: &str = "restored.json";

/// What a restore leaves behind for the host.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Marker {
    taken_at: Timestamp,
    restored_at: Timestamp,
    /// Whether the backup had a list of marketplaces. Where that is gone, nobody has said that there is
    /// nothing to wait for.
    has_marketplaces: bool,
}

/// Whether this host waits. Asked by every call, without the disk.
pub(crate) struct Restored {
    file: PathBuf,
    marketplaces: PathBuf,
    marker: ArcSwapOption<Marker>,
}

/// Why no call runs yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "restored from a backup of {taken_at}: waiting for the logs of {}, which say what was revoked since",
    those(.origins)
)]
pub(crate) struct NotCurrent {
    taken_at: Timestamp,
    origins: Vec<String>,
}

fn those(origins: &[String]) -> String {
    match origins {
        // For a moment, or since the list is missing.
        [] => format!("the marketplaces in {MARKETPLACES_FILE}"),
        some => some.join(", "),
    }
}

impl Marker {
    /// For a folder that has all the rest already.
    pub(crate) fn new(taken_at: Timestamp, data: &Path) -> Self {
        Self {
            taken_at,
            restored_at: Timestamp::now(),
            has_marketplaces: data.join(MARKETPLACES_FILE).exists(),
        }
    }

    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string(self)?;
        Ok(owner_only::create(&data.join(FILE), &format!("{text}\n"))?)
    }
}

impl Restored {
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let file = data.join(FILE);
        let marker = match fs::read(&file) {
            Ok(bytes) => {
                let marker: Marker = serde_json::from_slice(&bytes).context(FILE)?;
                tracing::warn!(
                    taken_at = %marker.taken_at,
                    restored_at = %marker.restored_at,
                    "restored from a backup: no call runs until every log was looked at"
                );
                Some(marker.into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).context(FILE),
        };
        Ok(Self {
            file,
            marketplaces: data.join(MARKETPLACES_FILE),
            marker: ArcSwapOption::new(marker),
        })
    }

    /// How often a log is looked at: more often while calls wait for it.
    pub(crate) fn interval(&self, usual: Duration) -> Duration {
        match &*self.marker.load() {
            None => usual,
            Some(_) => usual.min(Duration::from_secs(1)),
        }
    }

    /// Goes on where the host does not wait.
    pub(crate) fn admit(&self, logs: &Logs) -> Result<(), NotCurrent> {
        match &*self.marker.load() {
            None => Ok(()),
            Some(marker) => Err(NotCurrent {
                taken_at: marker.taken_at,
                origins: logs.not_current(),
            }),
        }
    }

    /// Ends the wait once every log was looked at, well, since the start.
    pub(crate) async fn settle(&self, app: &App) -> Result<(), Error> {
        let Some(marker) = self.marker.load_full() else {
            return Ok(());
        };
        let is_gone = marker.has_marketplaces && !self.marketplaces.exists();
        if is_gone || !app.logs.not_current().is_empty() {
            return Ok(());
        }
        // A checkpoint that was kept since the backup has no way to this log: here is why.
        let of = marker.taken_at;
        let event = Event::Restored { of };
        app.audit.record(&Entry::by_host(None, event)).await?;
        fs::remove_file(&self.file)?;
        self.marker.store(None);
        tracing::info!(taken_at = %of, "every log was looked at since the restore: calls run");
        Ok(())
    }
}
