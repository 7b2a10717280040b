//! The database's last word that a window has not enough left.

use std::time::Duration;

/// Whoever waited while somebody else was told takes it for an answer, and does not ask again.
#[derive(Default)]
pub(super) struct Denial(Option<Told>);

#[derive(Clone, Copy)]
pub(super) struct Told {
    /// When the database was asked.
    pub(super) asked_at: Duration,
    pub(super) limit: u64,
    pub(super) left: u64,
}

impl Denial {
    pub(super) fn tell(&mut self, told: Told) {
        self.0 = Some(told);
    }

    /// What answers somebody who came at this time and needs more than was left; none where the
    /// database was asked before that.
    pub(super) fn answers(&self, came_at: Duration, needed: u64) -> Option<Told> {
        self.0
            .filter(|told| told.asked_at > came_at && told.left < needed)
    }
}
