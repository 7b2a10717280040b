//! The guest's lines on their way to the operator's log: capped, counted, unable to forge.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use soma_capability::Limits;
use tracing::Level;

use crate::mask::Masking;

/// One call's log. Lines become `tracing` events with the target `guest`, inside the span that
/// the call runs in; so the host says which call they belong to, never the guest.
#[derive(Debug)]
pub(crate) struct GuestLog {
    max_lines: u64,
    max_bytes: u64,
    lines: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    masking: Masking,
}

/// What went through a [`GuestLog`].
pub(crate) struct LogTotals {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
}

impl GuestLog {
    pub(crate) fn new(limits: &Limits, masking: Masking) -> Self {
        Self {
            max_lines: limits.log_lines,
            max_bytes: limits.log_bytes,
            lines: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            masking,
        }
    }

    /// Writes one line, or counts it as dropped where the call has had its share.
    pub(crate) fn write(&self, level: Level, source: &str, line: &str) {
        if !self.takes(source.len() + line.len()) {
            return;
        }
        let (source, line) = (self.masking.text(source), self.masking.text(line));
        let (source, line) = (&*source, &*line);
        // As values, never as the message: every format escapes their line breaks and control characters.
        match level {
            Level::ERROR => tracing::error!(target: "guest", source, line),
            Level::WARN => tracing::warn!(target: "guest", source, line),
            Level::INFO => tracing::info!(target: "guest", source, line),
            Level::DEBUG => tracing::debug!(target: "guest", source, line),
            Level::TRACE => tracing::trace!(target: "guest", source, line),
        }
    }

    /// Writes the host's own line about a request that it did not send. It is the guest that
    /// makes it happen, as often as it likes: so it is one of the guest's lines.
    pub(crate) fn denied(&self, missing: &str, remedy: &str) {
        if self.takes(missing.len() + remedy.len()) {
            let (missing, remedy) = (self.masking.text(missing), self.masking.text(remedy));
            let (missing, remedy) = (&*missing, &*remedy);
            tracing::warn!(target: "denied", missing, remedy, "a request was denied");
        }
    }

    /// Whether a line of this size still fits; counts it either way.
    fn takes(&self, size: usize) -> bool {
        let size = size as u64;
        let full = self.lines.load(Relaxed) >= self.max_lines
            || self.bytes.load(Relaxed).saturating_add(size) > self.max_bytes;
        if full {
            if self.dropped.fetch_add(1, Relaxed) == 0 {
                tracing::warn!(target: "guest", "the log is full: further lines of this call are dropped");
            }
            return false;
        }
        self.lines.fetch_add(1, Relaxed);
        self.bytes.fetch_add(size, Relaxed);
        true
    }

    pub(crate) fn totals(&self) -> LogTotals {
        LogTotals {
            lines: self.lines.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
