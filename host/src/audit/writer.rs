//! The one thread that writes the log: whatever has come in the meantime goes to disk together, and
//! whoever waits for it is told then.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use prometheus::Histogram;
use tokio::sync::oneshot;

use super::lines::Lines;
use super::log::Log;
use super::{Shared, Unwritten};

/// How old a checkpoint may be while lines come in.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How often it is tried again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(1);
/// How long lines that nobody waits for may wait for others.
const LINGER: Duration = Duration::from_millis(50);

/// Whoever waits until a line is on disk.
type Waiting = oneshot::Sender<Result<(), Unwritten>>;

/// Which lines.
type Meant = Box<dyn Fn(&[u8]) -> bool + Send>;

/// What the thread is asked to do.
pub(super) enum Order {
    /// Write all lines that are on their way, and say so.
    Write(Waiting),
    /// Write them once more have had time to come.
    Linger,
    /// Erase the lines of which this is true; says how many.
    Erase(Meant, oneshot::Sender<io::Result<u64>>),
    /// Sign how far the log has come.
    Sign(oneshot::Sender<Result<(), Unwritten>>),
    /// Give up the hashes of the tree, which are damaged.
    LoseHashes,
}

pub(super) struct Writer {
    log: Log,
    shared: Arc<Shared>,
    /// Seconds that it takes.
    written: Histogram,
    /// Of what could not be written yet.
    pending: Lines,
    tried: Instant,
    signed_at: Instant,
}

impl Writer {
    /// Of a log that was signed just now.
    pub(super) fn new(log: Log, shared: Arc<Shared>, written: Histogram) -> Self {
        shared.size.store(log.size(), SeqCst);
        log.checkpoint().clone_into(&mut shared.checkpoint());
        Self {
            log,
            shared,
            written,
            pending: Lines::default(),
            tried: Instant::now(),
            signed_at: Instant::now(),
        }
    }

    /// Follows orders until nobody can give any more, and signs the end.
    pub(super) fn run(mut self, orders: &mpsc::Receiver<Order>) {
        loop {
            let order = if self.is_idle() {
                orders.recv().map_err(RecvTimeoutError::from)
            } else {
                orders.recv_timeout(LINGER)
            };
            match order {
                Ok(Order::Write(waiting)) => self.write(vec![waiting], orders),
                Ok(Order::Linger) => self.linger(orders),
                Ok(order) => self.follow(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.pending.is_empty() && self.tried.elapsed() >= AGAIN {
                self.flush(Vec::new());
            }
            if !self.log.is_signed() && self.signed_at.elapsed() >= CHECKPOINT {
                self.sign_logged();
            }
        }
        self.flush(Vec::new());
        self.sign_logged();
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.log.is_signed()
    }

    /// Lets lines come that nobody waits for, until somebody does.
    fn linger(&mut self, orders: &mpsc::Receiver<Order>) {
        let end = Instant::now() + LINGER;
        loop {
            match orders.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Order::Write(waiting)) => return self.write(vec![waiting], orders),
                Ok(Order::Linger) => {}
                Ok(order) => return self.follow(order),
                Err(_) => return self.flush(Vec::new()),
            }
        }
    }

    /// Writes all that has come, and tells all who wait for it.
    fn write(&mut self, mut waiting: Vec<Waiting>, orders: &mpsc::Receiver<Order>) {
        let mut other = None;
        while let Ok(order) = orders.try_recv() {
            match order {
                Order::Write(also) => waiting.push(also),
                Order::Linger => {}
                order => {
                    other = Some(order);
                    break;
                }
            }
        }
        self.flush(waiting);
        if let Some(order) = other {
            self.follow(order);
        }
    }

    fn follow(&mut self, order: Order) {
        // What came before it is meant too.
        self.flush(Vec::new());
        match order {
            Order::Write(waiting) => self.flush(vec![waiting]),
            Order::Linger => {}
            Order::Erase(is_meant, done) => {
                let _ = done.send(self.log.erase(is_meant));
            }
            Order::Sign(done) => {
                // One signature is for all who ask for it at the same time.
                let signed = match self.log.is_signed() {
                    true => Ok(()),
                    false => self.sign(),
                };
                let _ = done.send(signed.map_err(|error| Unwritten(error.to_string())));
            }
            Order::LoseHashes => self.log.lose_hashes(),
        }
    }

    /// Writes all that is pending, and tells those who wait. What cannot be written stays pending.
    fn flush(&mut self, waiting: Vec<Waiting>) {
        self.tried = Instant::now();
        // After the orders: the line of whoever waits is among these.
        self.pending.take(&mut self.shared.lines());
        if self.pending.is_empty() && waiting.is_empty() {
            return;
        }
        let timer = self.written.start_timer();
        let written = self.log.append(&self.pending);
        timer.observe_duration();
        let is_first = match &written {
            Ok(()) => self.shared.is_broken.swap(false, SeqCst),
            Err(_) => !self.shared.is_broken.swap(true, SeqCst),
        };
        let taken = self.log.grow(&self.pending);
        self.pending.drop_first(taken);
        // In this order: a line that is not on its way any more is there.
        self.shared.size.store(self.log.size(), SeqCst);
        self.shared.queued.fetch_sub(taken, SeqCst);
        match &written {
            Ok(()) if is_first => tracing::warn!("the audit log can be written again"),
            Err(error) if is_first => {
                tracing::error!(%error, "the audit log cannot be written: no call is taken");
            }
            _ => {}
        }
        let written = written.map_err(|error| Unwritten(error.to_string()));
        for waiting in waiting {
            let _ = waiting.send(written.clone());
        }
        self.log.write_hashes();
    }

    fn sign_logged(&mut self) {
        if let Err(error) = self.sign() {
            self.signed_at = Instant::now();
            tracing::error!(
                error = format!("{error:#}"),
                "the audit log cannot be signed"
            );
        }
    }

    fn sign(&mut self) -> anyhow::Result<()> {
        self.log.sign()?;
        self.signed_at = Instant::now();
        self.log
            .checkpoint()
            .clone_into(&mut self.shared.checkpoint());
        Ok(())
    }
}
