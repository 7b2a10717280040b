//! What a log asks a witness, and when the witness may say yes. <https://c2sp.org/tlog-witness>

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, CheckpointError};
use super::consistency::Consistency;
use super::hash::TreeHash;
use super::note_key::LogKey;
use super::proof::ProofError;

/// The most hashes in a proof, as the specification bounds it.
const MAX_PROOF: usize = 63;

/// The body of `add-checkpoint`: a checkpoint, and the proof that it continues an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The proof.
    pub consistency: Consistency,
    /// The checkpoint's note.
    pub note: Vec<u8>,
}

/// A body that is not as the specification has it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not `old SIZE`, at most {MAX_PROOF} lines of hashes in base64, an empty line, and a checkpoint"
)]
pub struct AddCheckpointError;

/// The newest checkpoint of a log that a witness cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The log.
    pub origin: String,
    /// How many leaves it had.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
}

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRefusal {
    /// The older log would be the longer one.
    #[error("the old size {old} is more than the checkpoint's {size}")]
    Backwards {
        /// The size that the proof begins at.
        old: u64,
        /// The checkpoint's.
        size: u64,
    },
    /// The proof begins elsewhere than at what the witness saw last.
    #[error(
        "the newest checkpoint that was cosigned has {size} leaves, and the proof begins at {old}"
    )]
    Behind {
        /// The size that the witness knows.
        size: u64,
        /// The size that the proof begins at.
        old: u64,
    },
    /// The same size, other leaves: the log shows different people different things.
    #[error("another checkpoint of {size} leaves was cosigned: the log has forked")]
    Forked {
        /// The size of both.
        size: u64,
    },
    /// The proof proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// Not this log's checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl AddCheckpoint {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Result<Self, AddCheckpointError> {
        let mut rest = body;
        let old = line(&mut rest)?.strip_prefix("old ");
        let old = old.and_then(decimal).ok_or(AddCheckpointError)?;
        let mut path = Vec::new();
        loop {
            let hash = line(&mut rest)?;
            if hash.is_empty() {
                break;
            }
            if path.len() == MAX_PROOF {
                return Err(AddCheckpointError);
            }
            path.push(TreeHash::try_from(hash.to_owned()).map_err(|_| AddCheckpointError)?);
        }
        Ok(Self {
            consistency: Consistency { old, path },
            note: rest.to_vec(),
        })
    }

    /// The body.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Consistency { old, path } = &self.consistency;
        let path: String = path.iter().map(|hash| format!("{hash}\n")).collect();
        [format!("old {old}\n{path}\n").as_bytes(), &self.note].concat()
    }

    /// The origin that the checkpoint claims; which log's key to judge it by.
    pub fn origin(&self) -> Option<&str> {
        line(&mut self.note.as_slice()).ok()
    }

    /// Judges it by the log's key and what was seen of the log so far. Gives the checkpoint to
    /// cosign, and what has been seen then, which is to be stored first.
    pub fn judge(
        &self,
        key: &LogKey,
        seen: Option<&Seen>,
    ) -> Result<(Checkpoint, Seen), WitnessRefusal> {
        let checkpoint = Checkpoint::read(&self.note, key)?;
        let (old, size) = (self.consistency.old, checkpoint.size());
        if old > size {
            return Err(WitnessRefusal::Backwards { old, size });
        }
        let known = seen.map_or(0, |seen| seen.size);
        if old != known {
            return Err(WitnessRefusal::Behind { size: known, old });
        }
        if let Some(seen) = seen {
            if old == size && seen.root != checkpoint.root() {
                return Err(WitnessRefusal::Forked { size });
            }
            self.consistency.check(seen.root, &checkpoint)?;
        } else {
            self.consistency.check(checkpoint.root(), &checkpoint)?;
        }
        let seen = Seen {
            origin: key.origin().to_owned(),
            size,
            root: checkpoint.root(),
        };
        Ok((checkpoint, seen))
    }
}

/// Takes a line off the front, which must end in a newline.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, AddCheckpointError> {
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (line, after) = rest.split_at(end.ok_or(AddCheckpointError)?);
    *rest = &after[1..];
    std::str::from_utf8(line).map_err(|_| AddCheckpointError)
}

/// A number in its one form: no sign, no leading zeroes.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::key::SecretKey;
    use crate::log::{Frontier, NoteSecret};

    #[test]
    fn bodies_are_read_in_their_one_form() {
        let hash = TreeHash::from_bytes([7; 32]);
        let asked = AddCheckpoint {
            consistency: Consistency {
                old: 3,
                path: vec![hash; MAX_PROOF],
            },
            note: b"log.test\n4\nhash\n\nsignatures\n".to_vec(),
        };
        let body = asked.to_bytes();
        assert_eq!(AddCheckpoint::read(&body), Ok(asked.clone()));
        assert_eq!(asked.origin(), Some("log.test"));
        let long = format!("old 3\n{}\nx", format!("{hash}\n").repeat(64));
        for bad in [
            "",
            "old 3",
            "old 3\n",
            "old 03\n\nx",
            "old +3\n\nx",
            "old\n\nx",
            "new 3\n\nx",
            "old 3\nAAAA\n\nx",
            "old 3\r\n\nx",
            "old 99999999999999999999\n\nx",
            &long,
        ] {
            assert!(AddCheckpoint::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_goes_on_and_neither_back_nor_aside() {
        let log = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let key = log.log_key();
        let (mut frontier, mut hashes) = (Frontier::default(), BTreeMap::new());
        let mut fork = Frontier::default();
        let mut notes = vec![Checkpoint::sign(&log, &frontier).unwrap().to_bytes()];
        for n in 0_u8..9 {
            hashes.extend(frontier.push(&[n]));
            fork.push(b"fork");
            notes.push(Checkpoint::sign(&log, &frontier).unwrap().to_bytes());
        }
        let ask = |old: u64, note: &[u8], size: u64| AddCheckpoint {
            consistency: Consistency::from_hashes(old.min(size), size, &hashes).unwrap(),
            note: note.to_vec(),
        };
        let first = ask(0, &notes[4], 4);
        let (_, seen) = first.judge(&key, None).unwrap();
        assert_eq!(seen.size, 4);
        // The same once more renews it; further on needs a proof from here.
        assert!(ask(4, &notes[4], 4).judge(&key, Some(&seen)).is_ok());
        let (_, later) = ask(4, &notes[9], 9).judge(&key, Some(&seen)).unwrap();
        assert_eq!(later.size, 9);

        let refusal = |asked: AddCheckpoint, seen| asked.judge(&key, seen).unwrap_err();
        assert!(matches!(
            refusal(first, Some(&seen)),
            WitnessRefusal::Behind { size: 4, old: 0 }
        ));
        assert!(matches!(
            refusal(ask(4, &notes[4], 4), Some(&later)),
            WitnessRefusal::Behind { size: 9, old: 4 }
        ));
        let mut back = ask(4, &notes[4], 4);
        back.consistency.old = 9;
        assert!(matches!(
            refusal(back, Some(&later)),
            WitnessRefusal::Backwards { old: 9, size: 4 }
        ));
        let aside = Checkpoint::sign(&log, &fork).unwrap().to_bytes();
        assert!(matches!(
            refusal(ask(9, &aside, 9), Some(&later)),
            WitnessRefusal::Forked { size: 9 }
        ));
        assert!(matches!(
            refusal(ask(4, &aside, 9), Some(&seen)),
            WitnessRefusal::Proof(_)
        ));
        let other = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
        let asked = ask(4, &notes[9], 9);
        assert!(matches!(
            asked.judge(&other.log_key(), Some(&seen)),
            Err(WitnessRefusal::Checkpoint(CheckpointError::Signature(_)))
        ));
    }
}
