//! Bytes on their way, counted and hashed.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::contents::About;

/// Passes bytes on.
pub(super) struct Measured<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Measured<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Where they went, and what they were.
    pub(super) fn end(self) -> (W, About) {
        let about = About {
            bytes: self.bytes,
            sha256: hex::encode(self.hash.finalize()),
        };
        (self.to, about)
    }
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
