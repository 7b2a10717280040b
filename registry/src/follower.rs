//! Following a log: from the tree one has seen to a newer checkpoint, leaf by leaf, believing
//! nothing that the log does not prove.

use crate::log::{Checkpoint, Frontier};

/// The edge of what was seen of one log, and the next leaves on the way to a checkpoint.
///
/// The leaves between are hashed onto the known edge. Where the result is the root that the
/// checkpoint signs, the new log continues the old one and has exactly these leaves: consistency
/// and inclusion of all of them in one comparison.
#[derive(Clone, Debug)]
pub struct Follower {
    frontier: Frontier,
}

/// A log that does not continue what was seen of it.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Fewer leaves than before.
    #[error("the log rolled back: it had {seen} leaves and now signs {signed}")]
    RolledBack {
        /// Leaves seen.
        seen: u64,
        /// Leaves in the new checkpoint.
        signed: u64,
    },
    /// Other leaves than before, or not those that were sent.
    #[error(
        "the log forked: its {size} leaves do not have the root that its checkpoint signs on top \
         of the {seen} leaves seen before"
    )]
    Forked {
        /// Leaves seen.
        seen: u64,
        /// Leaves in the new checkpoint.
        size: u64,
    },
    /// Not as many leaves as the checkpoint says.
    #[error("the log sent {sent} leaves where its checkpoint says {wanted}")]
    Leaves {
        /// How many came.
        sent: u64,
        /// How many there should be.
        wanted: u64,
    },
}

impl Follower {
    /// Goes on from an edge that was kept; from the beginning with the default one.
    pub fn new(frontier: Frontier) -> Self {
        Self { frontier }
    }

    /// What was seen, to be kept.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// How many leaves are missing on the way to a checkpoint.
    pub fn behind(&self, checkpoint: &Checkpoint) -> Result<u64, FollowError> {
        let (seen, signed) = (self.frontier.size(), checkpoint.size());
        if signed < seen {
            return Err(FollowError::RolledBack { seen, signed });
        }
        if signed == seen && self.frontier.root() != checkpoint.root() {
            return Err(FollowError::Forked { seen, size: signed });
        }
        Ok(signed - seen)
    }

    /// Goes to the checkpoint by these leaves, or stays where it was.
    pub fn follow<'a>(
        &mut self,
        checkpoint: &Checkpoint,
        leaves: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), FollowError> {
        let wanted = self.behind(checkpoint)?;
        let mut next = self.frontier.clone();
        let mut sent = 0;
        for leaf in leaves {
            next.push(leaf);
            sent += 1;
        }
        if sent != wanted {
            return Err(FollowError::Leaves { sent, wanted });
        }
        if next.root() != checkpoint.root() {
            return Err(FollowError::Forked {
                seen: self.frontier.size(),
                size: checkpoint.size(),
            });
        }
        self.frontier = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::log::NoteSecret;

    fn checkpoint(secret: &NoteSecret, leaves: &[&[u8]]) -> Checkpoint {
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.push(leaf);
        }
        Checkpoint::sign(secret, &frontier).unwrap()
    }

    #[test]
    fn goes_on_and_refuses_forks_roll_backs_and_other_leaves() {
        let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let all: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
        let mut follower = Follower::new(Frontier::default());
        let three = checkpoint(&secret, &all[..3]);
        follower.follow(&three, all[..3].iter().copied()).unwrap();
        assert_eq!(follower.behind(&three).unwrap(), 0);

        let two = follower.behind(&checkpoint(&secret, &all[..2]));
        assert!(matches!(
            two,
            Err(FollowError::RolledBack { seen: 3, signed: 2 })
        ));
        let fork = checkpoint(&secret, &[b"a", b"x", b"c", b"d", b"e"]);
        let five = checkpoint(&secret, &all);
        for (checkpoint, leaves) in [(&fork, &all[3..]), (&five, &[b"d".as_slice(), b"x"][..])] {
            let refused = follower.follow(checkpoint, leaves.iter().copied());
            assert!(matches!(
                refused,
                Err(FollowError::Forked { seen: 3, size: 5 })
            ));
        }
        let few = follower.follow(&five, all[3..4].iter().copied());
        assert!(matches!(
            few,
            Err(FollowError::Leaves { sent: 1, wanted: 2 })
        ));
        follower.follow(&five, all[3..].iter().copied()).unwrap();
        assert_eq!(follower.frontier().size(), 5);
    }
}
