//! How an owner without keys gets one again: after a public wait in which every owner can object.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::change::OwnerKey;

/// Seconds between a recovery's announcement in the log and its end: seven days.
pub const RECOVERY_WAIT: u64 = 7 * 24 * 60 * 60;

/// A recovery that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recovery {
    /// The key that is to be the owner's.
    pub key: OwnerKey,
    /// Unix seconds of its announcement.
    pub since: u64,
}

impl Recovery {
    /// Unix seconds from which on it can end.
    pub fn until(&self) -> u64 {
        self.since.saturating_add(RECOVERY_WAIT)
    }
}
