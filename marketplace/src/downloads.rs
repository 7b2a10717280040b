//! Which downloads count: one a day of a version by an address, or a count would say no more than
//! who has patience, and a name would be well-used for the asking.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use soma_capability::Digest;

use crate::db::now;

/// Downloads are forgotten again when there are this many.
const REMEMBERED: usize = 100_000;
/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// The downloads of this day.
#[derive(Default)]
pub(crate) struct Downloads {
    today: Mutex<Day>,
}

#[derive(Default)]
struct Day {
    number: u64,
    seen: HashSet<(IpAddr, Digest)>,
}

impl Downloads {
    /// Whether this address has not had this file today. Of no known address, each is the first.
    pub(crate) fn is_first(&self, sender: Option<IpAddr>, file: Digest) -> bool {
        let Some(address) = sender else {
            return true;
        };
        let number = now() / DAY;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if today.number != number || today.seen.len() >= REMEMBERED {
            *today = Day {
                number,
                seen: HashSet::new(),
            };
        }
        today.seen.insert((address, file))
    }
}
