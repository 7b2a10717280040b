//! Files on their way in: how much memory they may take together. Each takes what has arrived of
//! it, so that whoever sends slowly keeps nobody else out.

use std::sync::Arc;

use soma_registry::MAX_FILE_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// What one permit stands for.
const UNIT: usize = 1 << 10;

/// The room for all of them.
pub(crate) struct Incoming(Arc<Semaphore>);

/// One of them, as far as it has arrived.
pub(crate) struct Arriving {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Room for so many files of the largest size.
    pub(crate) fn new(files: usize) -> Self {
        Self(Arc::new(Semaphore::new(files * (MAX_FILE_BYTES / UNIT))))
    }

    /// A file of which nothing has arrived.
    pub(crate) fn begin(&self) -> Arriving {
        Arriving {
            room: self.0.clone(),
            taken: None,
            bytes: Vec::new(),
        }
    }
}

impl Arriving {
    /// Takes in what came; refuses it where there is no room for it, or where it gets too long.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let length = self.bytes.len() + chunk.len();
        if length > MAX_FILE_BYTES {
            return Err(Error::TooLarge {
                what: "the capsule",
                limit: MAX_FILE_BYTES,
            });
        }
        let has = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = length.div_ceil(UNIT) - has;
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            let more = self.room.clone().try_acquire_many_owned(more);
            let more = more.map_err(|_| Error::Overloaded("files on their way in"))?;
            match &mut self.taken {
                Some(taken) => taken.merge(more),
                None => self.taken = Some(more),
            }
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// The whole file, and what it takes until that is dropped.
    pub(crate) fn finish(self) -> (Vec<u8>, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_what_has_arrived_of_it_and_gives_it_back() {
        let incoming = Incoming::new(1);
        let slow: Vec<_> = (0..1000)
            .map(|_| {
                let mut file = incoming.begin();
                file.push(b"x").unwrap();
                file
            })
            .collect();
        let mut large = incoming.begin();
        let most = MAX_FILE_BYTES - slow.len() * UNIT;
        large.push(&vec![0; most]).unwrap();
        assert!(matches!(large.push(b"x"), Err(Error::Overloaded(_))));
        assert!(matches!(
            incoming.begin().push(b"x"),
            Err(Error::Overloaded(_))
        ));
        drop(slow);
        large.push(b"x").unwrap();
        let (bytes, taken) = large.finish();
        assert_eq!(bytes.len(), most + 1);
        drop(taken);
        let mut whole = incoming.begin();
        whole.push(&vec![0; MAX_FILE_BYTES]).unwrap();
        assert!(matches!(whole.push(b"x"), Err(Error::TooLarge { .. })));
    }
}
