//! The walk over a host's audit log: from every line to the root that was signed.

use soma_registry::log::{Checkpoint, Frontier, LogKey};

use crate::failure::Failure;

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
        note: &str,
        key: &str,
        expected: Option<&LogKey>,
        earlier: Option<&str>,
    ) -> Result<Self, Failure> {
        let key: LogKey = key.parse().map_err(Failure::damaged)?;
        if let Some(expected) = expected.filter(|expected| **expected != key) {
            return Err(Failure::failed(format_args!(
                "the log is signed by {key}, not by {expected}"
            )));
        }
        let read = |note: &str, what: &str| {
            Checkpoint::read(note.as_bytes(), &key)
                .map_err(|e| Failure::failed(format_args!("{what}: {e}")))
        };
        let checkpoint = read(note, "the checkpoint")?;
        let earlier = earlier.map(|note| read(note, "the earlier checkpoint"));
        let earlier = earlier.transpose()?;
        if let Some(earlier) = earlier.as_ref().filter(|it| it.size() > checkpoint.size()) {
            return Err(Failure::failed(format_args!(
                "the log had {} records at the earlier checkpoint, and has {} now: some are gone",
                earlier.size(),
                checkpoint.size()
            )));
        }
        let walk = Self {
            note: note.to_owned(),
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
