//! The walk over a host's audit log: from every line to the root that was signed.

use soma_registry::log::{Checkpoint, CheckpointError, Frontier, LogKey};

use crate::failure::Failure;

/// Something, and what it is called where it is not what it should be.
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) it: T,
}

/// What a log says of its end: its newest checkpoint, and the key that should have signed it.
pub(super) struct Head {
    pub(super) note: Named<String>,
    pub(super) key: Named<LogKey>,
}

/// One walk.
pub(super) struct Walk {
    note: String,
    checkpoint: Checkpoint,
    /// Which the log must continue.
    earlier: Option<Checkpoint>,
    frontier: Frontier,
    erased: u64,
}

/// What a walk proved.
pub(super) struct Proven {
    pub(super) note: String,
    pub(super) size: u64,
    pub(super) erased: u64,
    pub(super) root: String,
    pub(super) key: String,
    /// The size of the earlier checkpoint.
    pub(super) continues: Option<u64>,
}

impl Walk {
    /// To this checkpoint, which must be signed by the key that is expected, where one is.
    pub(super) fn new(
        Head { note, key }: Head,
        expected: Option<&LogKey>,
        earlier: Option<&Named<String>>,
    ) -> Result<Self, Failure> {
        if let Some(expected) = expected.filter(|expected| **expected != key.it) {
            return Err(Failure::failed(format_args!(
                "the log is signed by {}, not by {expected}",
                key.it
            )));
        }
        let checkpoint = signed(&note, &key)?;
        let earlier = earlier.map(|note| signed(note, &key)).transpose()?;
        if let Some(earlier) = earlier.as_ref().filter(|it| it.size() > checkpoint.size()) {
            return Err(Failure::failed(format_args!(
                "the log had {} records at the earlier checkpoint, and has {} now: some are gone",
                earlier.size(),
                checkpoint.size()
            )));
        }
        let walk = Self {
            note: note.it,
            checkpoint,
            earlier,
            frontier: Frontier::default(),
            erased: 0,
        };
        walk.compare()?;
        Ok(walk)
    }

    /// How many lines were taken.
    pub(super) fn taken(&self) -> u64 {
        self.frontier.size()
    }

    /// How many are still to be taken.
    pub(super) fn missing(&self) -> u64 {
        self.checkpoint.size().saturating_sub(self.taken())
    }

    /// The next line.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        self.erased += u64::from(soma_host::is_erased(line));
        self.frontier.push(&soma_host::leaf(line));
        self.compare()
    }

    /// At the size of a checkpoint the root is the one that was signed.
    fn compare(&self) -> Result<(), Failure> {
        let size = self.taken();
        let signed = [Some(&self.checkpoint), self.earlier.as_ref()];
        let mut here = signed.into_iter().flatten().filter(|it| it.size() == size);
        if here.any(|checkpoint| checkpoint.root() != self.frontier.root()) {
            return Err(Failure::failed(format_args!(
                "the first {size} records are not those that were signed: one or more were changed"
            )));
        }
        Ok(())
    }

    pub(super) fn end(self) -> Result<Proven, Failure> {
        if self.missing() > 0 || self.taken() > self.checkpoint.size() {
            return Err(Failure::failed(format_args!(
                "{} records were signed, and {} are here",
                self.checkpoint.size(),
                self.taken()
            )));
        }
        Ok(Proven {
            size: self.taken(),
            erased: self.erased,
            root: self.checkpoint.root().to_string(),
            key: self.checkpoint.key().to_string(),
            continues: self.earlier.map(|earlier| earlier.size()),
            note: self.note,
        })
    }
}

/// The checkpoint in a text, which the key must have signed.
fn signed(note: &Named<String>, key: &Named<LogKey>) -> Result<Checkpoint, Failure> {
    let name = &note.name;
    Checkpoint::read(note.it.as_bytes(), &key.it).map_err(|error| match error {
        // Its words are of a key that was pinned.
        CheckpointError::Signature(_) => {
            Failure::failed(format_args!("{name} is not signed by {}", key.name))
        }
        error => Failure::failed(format_args!("{name}: {error}")),
    })
}
