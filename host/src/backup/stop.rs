//! What ends a backup or a restore before it is through: SIGINT and SIGTERM.
//!
//! A signal only says that it came. Whoever is at work asks, between two reads and beside what it awaits,
//! and fails as it would for any other reason: so what is cleaned up is cleaned up in one place, and never
//! beside somebody who still writes there.

use std::future;
use std::io;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether this process was told to stop.
#[derive(Clone, Debug)]
pub struct Stop(pub(super) watch::Receiver<Option<Interrupted>>);

/// By which signal it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// Ctrl-C, most often.
    #[error("interrupted by SIGINT")]
    Int,
    /// `kill`, or whoever manages services.
    #[error("interrupted by SIGTERM")]
    Term,
}

impl Stop {
    /// From now on neither signal ends this process by itself. They are heard on a task of their own,
    /// since the command's may be reading a file.
    pub fn on_signals() -> io::Result<Self> {
        let (mut int, mut term) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let (tell, told) = watch::channel(None);
        tokio::spawn(async move {
            let by = tokio::select! {
                _ = int.recv() => Interrupted::Int,
                _ = term.recv() => Interrupted::Term,
            };
            tell.send_replace(Some(by));
        });
        Ok(Self(told))
    }

    /// What some work comes to; where this was told before its end, nothing, in these words.
    pub(super) async fn or<T>(
        &self,
        words: &'static str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let done = tokio::select! {
            biased;
            by = self.told() => Err(by.into()),
            done = work => done,
        };
        // Between two awaits nobody asks; and what failed may have failed for this.
        self.check().context(words)?;
        done
    }

    /// Waits until it is told.
    async fn told(&self) -> Interrupted {
        let mut told = self.0.clone();
        let by = told.wait_for(Option::is_some).await.map(|by| *by);
        match by {
            Ok(Some(by)) => by,
            // Nobody is left who could tell.
            _ => future::pending().await,
        }
    }

    /// Fails where it was told.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        self.0.borrow().map_or(Ok(()), Err)
    }
}
