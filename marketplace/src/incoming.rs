//! Publications on their way in: how much memory they may take together. Each takes what has arrived
//! of it, goes on at some pace, and comes from somewhere that has a share of the room and no more.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::MultipartError;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use soma_registry::{MAX_CHANGE_BYTES, MAX_FILE_BYTES, MAX_STATEMENT_BYTES, Pace};

use crate::error::Error;

/// Of the room, one address has this part at most.
const SHARE: usize = 4;
/// The longest form: its three parts, two of them in base64, and what is between them.
const LONGEST: usize = MAX_FILE_BYTES + 2 * (MAX_CHANGE_BYTES + MAX_STATEMENT_BYTES) + (64 << 10);

/// The room for all of them.
pub(crate) struct Incoming(Arc<Room>);

struct Room {
    bytes: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Option<IpAddr>, usize>,
}

/// One of them. What it takes is free again when this is dropped, and its body.
pub(crate) struct Arriving(Arc<Arrived>);

struct Arrived {
    room: Arc<Room>,
    from: Option<IpAddr>,
    bytes: Mutex<usize>,
    /// Why no more is taken.
    refusal: Mutex<Option<Error>>,
}

impl Incoming {
    /// Room for so many files of the largest size.
    pub(crate) fn new(files: usize) -> Self {
        Self(Arc::new(Room {
            bytes: files * MAX_FILE_BYTES,
            taken: Mutex::default(),
        }))
    }

    /// The same body, of which each piece takes room before it is handed on.
    pub(crate) fn admit(&self, body: Body, from: Option<IpAddr>) -> (Arriving, Body) {
        let arrived = Arc::new(Arrived {
            room: self.0.clone(),
            from,
            bytes: Mutex::default(),
            refusal: Mutex::default(),
        });
        let begin = (body.into_data_stream(), Pace::begin(), arrived.clone());
        let pieces = stream::unfold(begin, async |(mut body, mut pace, arrived)| {
            let piece = next(&mut body, &mut pace, &arrived).await?;
            let piece = piece.map_err(|refusal| {
                *lock(&arrived.refusal) = Some(refusal);
                io::Error::other("refused")
            });
            Some((piece, (body, pace, arrived)))
        });
        (Arriving(arrived), Body::from_stream(pieces))
    }
}

async fn next(
    body: &mut BodyDataStream,
    pace: &mut Pace,
    arrived: &Arrived,
) -> Option<Result<Bytes, Error>> {
    let piece = match pace.wait(body.next()).await {
        Ok(piece) => piece?,
        Err(slow) => return Some(Err(slow.into())),
    };
    Some(match piece {
        Ok(piece) => {
            pace.count(piece.len());
            arrived.take(piece.len()).map(|()| piece)
        }
        Err(_) => Err(Error::BadRequest("the body ended early".to_owned())),
    })
}

impl Arriving {
    /// Why the form cannot be read on.
    pub(crate) fn broken(&self, error: &MultipartError) -> Error {
        let refusal = lock(&self.0.refusal).take();
        refusal.unwrap_or_else(|| Error::BadRequest(format!("the form: {}", error.body_text())))
    }
}

impl Arrived {
    fn take(&self, bytes: usize) -> Result<(), Error> {
        let mut own = lock(&self.bytes);
        if *own + bytes > LONGEST {
            return Err(Error::TooLarge {
                what: "the body",
                limit: LONGEST,
            });
        }
        let mut taken = lock(&self.room.taken);
        if taken.all + bytes > self.room.bytes {
            return Err(Error::Overloaded("publications on their way in"));
        }
        let of_address = taken.by_address.entry(self.from).or_default();
        if *of_address + bytes > self.room.bytes / SHARE {
            return Err(Error::Overloaded("publications from one address"));
        }
        *of_address += bytes;
        taken.all += bytes;
        *own += bytes;
        Ok(())
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        let own = *lock(&self.bytes);
        let mut taken = lock(&self.room.taken);
        taken.all -= own;
        let of_address = taken.by_address.entry(self.from).or_default();
        *of_address -= own;
        if *of_address == 0 {
            taken.by_address.remove(&self.from);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(incoming: &Incoming, last: u8) -> Arriving {
        let from = Some(IpAddr::from([192, 0, 2, last]));
        incoming.admit(Body::empty(), from).0
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_gives_it_back() {
        let incoming = Incoming::new(SHARE);
        let slow: Vec<_> = (0..1000).map(|_| begin(&incoming, 1)).collect();
        for one in &slow {
            one.0.take(1).unwrap();
        }
        let large = begin(&incoming, 1);
        large.0.take(MAX_FILE_BYTES - slow.len()).unwrap();
        assert!(matches!(large.0.take(1), Err(Error::Overloaded(_))));
        // Nobody else is kept out, until all is taken.
        let others: Vec<_> = (2..5).map(|last| begin(&incoming, last)).collect();
        for other in &others {
            other.0.take(MAX_FILE_BYTES).unwrap();
        }
        assert!(matches!(
            begin(&incoming, 9).0.take(1),
            Err(Error::Overloaded(_))
        ));
        drop(slow);
        large.0.take(1).unwrap();
        assert!(matches!(large.0.take(LONGEST), Err(Error::TooLarge { .. })));
        drop((large, others));
        let taken = lock(&incoming.0.taken);
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}
