//! An archive on its way in, perhaps through a pipe that nobody writes to.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::stop::Stop;

/// So many bytes are read at once.
const CHUNK: usize = 64 << 10;
/// Whoever waits for bytes looks so often whether to go on.
const LOOK: Duration = Duration::from_millis(50);

/// Reads on a thread of its own, since nothing ends a read of a pipe. That thread touches nothing else,
/// so whoever is told to stop leaves it where it is, and it ends with the process.
pub(super) struct Incoming {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Cursor<Vec<u8>>,
    stop: Stop,
}

impl Incoming {
    pub(super) fn new(from: impl Read + Send + 'static, stop: Stop) -> Self {
        // One is read while the one before it is written.
        let (sender, chunks) = sync_channel(1);
        thread::spawn(move || pass_on(from, &sender));
        Self {
            chunks,
            chunk: Cursor::default(),
            stop,
        }
    }

    /// What comes next; nothing at the end.
    fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let next = self.chunks.recv_timeout(LOOK);
            self.stop.check().map_err(io::Error::other)?;
            match next {
                Ok(chunk) => return chunk,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
            }
        }
    }
}

impl Read for Incoming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunk.position() == self.chunk.get_ref().len() as u64 {
            self.chunk = Cursor::new(self.receive()?);
        }
        self.chunk.read(into)
    }
}

/// To its end, to an error, or until nobody takes it any more.
fn pass_on(mut from: impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read,
        };
        let chunk = read.map(|bytes| {
            chunk.truncate(bytes);
            chunk
        });
        let is_more = chunk.as_ref().is_ok_and(|chunk| !chunk.is_empty());
        if to.send(chunk).is_err() || !is_more {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::backup::stop::Interrupted;

    #[test]
    fn it_comes_through_as_it_is() {
        let (_tell, told) = watch::channel(None);
        let sent: Vec<u8> = (0..3 * CHUNK + 7)
            .map(|place| (place % 251) as u8)
            .collect();
        let mut incoming = Incoming::new(Cursor::new(sent.clone()), Stop(told));
        let mut received = Vec::new();
        incoming.read_to_end(&mut received).unwrap();
        assert!(received == sent, "{} of {}", received.len(), sent.len());
        // The end stays the end.
        assert_eq!(incoming.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_fails_is_passed_on() {
        let (_tell, told) = watch::channel(None);
        let folder = std::fs::File::open("/").unwrap();
        let mut incoming = Incoming::new(folder, Stop(told));
        let error = incoming.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn whoever_waits_for_a_pipe_is_told_to_stop() {
        let (tell, told) = watch::channel(None);
        let (reader, _writer) = io::pipe().unwrap();
        let mut incoming = Incoming::new(reader, Stop(told));
        let waiting = thread::spawn(move || incoming.read(&mut [0]));
        tell.send_replace(Some(Interrupted::Term));
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "interrupted by SIGTERM");
    }
}
