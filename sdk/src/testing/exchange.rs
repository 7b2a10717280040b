//! A streamed exchange with the scripted network: the reply is looked up when the request ends.

use std::collections::VecDeque;

use super::script::{Scripted, exchange};
use crate::http::stream::Head;
use crate::http::{Error, Parts};

pub(crate) enum ScriptedExchange {
    /// The body is being written.
    Open(Parts),
    /// The body has ended; `chunks` is what is left of the response's.
    Answered {
        head: Head,
        chunks: VecDeque<Vec<u8>>,
    },
    Failed(Error),
}

impl ScriptedExchange {
    pub(crate) fn start(parts: Parts) -> Result<Self, Error> {
        Ok(Self::Open(parts))
    }

    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), Error> {
        match self {
            Self::Open(parts) => {
                parts.body.extend_from_slice(piece);
                Ok(())
            }
            _ => Err(Error::InvalidRequest("the body has ended".into())),
        }
    }

    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        if let Self::Open(parts) = self {
            *self = match exchange(parts.clone()) {
                Ok(Scripted {
                    status,
                    headers,
                    chunks,
                }) => Self::Answered {
                    head: Head { status, headers },
                    chunks: chunks.into(),
                },
                Err(error) => Self::Failed(error),
            };
        }
        Ok(())
    }

    pub(crate) fn head(&mut self) -> Result<Head, Error> {
        self.answered().map(|(head, _)| head.clone())
    }

    pub(crate) fn read(&mut self, max: u32) -> Result<Option<Vec<u8>>, Error> {
        let (_, chunks) = self.answered()?;
        let Some(mut piece) = chunks.pop_front() else {
            return Ok(None);
        };
        let rest = piece.split_off(piece.len().min(max as usize));
        if !rest.is_empty() {
            chunks.push_front(rest);
        }
        Ok(Some(piece))
    }

    /// Whoever waits for a scripted answer to a request that has not ended waits for ever; this
    /// gives all the others.
    pub(crate) fn wait(exchanges: &[&Self]) -> Vec<usize> {
        let ended = |(_, exchange): &(usize, &&Self)| !matches!(exchange, Self::Open(_));
        let ready = exchanges.iter().enumerate().filter(ended);
        ready.map(|(position, _)| position).collect()
    }

    fn answered(&mut self) -> Result<(&Head, &mut VecDeque<Vec<u8>>), Error> {
        match self {
            Self::Answered { head, chunks } => Ok((head, chunks)),
            Self::Failed(error) => Err(error.clone()),
            Self::Open(_) => Err(Error::Protocol(
                "the request's body has not ended: call `finish` first".into(),
            )),
        }
    }
}
