//! The one thread that writes the log: whatever has come in the meantime goes to disk together, and
//! whoever waits for it is told then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use prometheus::Histogram;
use serde::{Deserialize, Serialize};
use soma_registry::log::{Checkpoint, Frontier, NoteSecret};
use soma_registry::owner_only;
use tokio::sync::oneshot;

use super::line;
use super::lines::Lines;
use super::store::{Store, read};
use super::tree::{self, Tree};
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
}

/// The newest checkpoint and the edge of the tree at it, in `head.json`.
#[derive(Serialize, Deserialize)]
struct Head {
    checkpoint: String,
    frontier: Frontier,
}

pub(super) struct Writer {
    store: Store,
    frontier: Frontier,
    tree: Tree,
    secret: NoteSecret,
    head: PathBuf,
    shared: Arc<Shared>,
    /// Seconds that it takes.
    written: Histogram,
    /// Of what could not be written yet.
    pending: Lines,
    tried: Instant,
    /// Lines under the newest checkpoint.
    signed: u64,
    signed_at: Instant,
}

impl Writer {
    /// Goes on where the last host ended. Refuses a log of which lines are gone that were signed.
    pub(super) fn open(
        folder: &Path,
        secret: NoteSecret,
        shared: Arc<Shared>,
        written: Histogram,
    ) -> anyhow::Result<Self> {
        let head = folder.join("head.json");
        let records = folder.join("records");
        let store = Store::open(&records)?;
        let mut frontier = Frontier::default();
        match std::fs::read(&head) {
            Ok(bytes) => {
                let kept: Head = serde_json::from_slice(&bytes).context("head.json")?;
                let checkpoint = Checkpoint::read(kept.checkpoint.as_bytes(), &secret.log_key());
                let checkpoint = checkpoint.context("head.json")?;
                if checkpoint.root() != kept.frontier.root() {
                    bail!("head.json: its edge does not make the root that was signed");
                }
                frontier = kept.frontier;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && store.size() == 0 => {}
            Err(error) => return Err(error).context("head.json"),
        }
        if store.size() < frontier.size() {
            bail!(
                "{} records were signed and {} are there: some are gone; restore the host from a \
                 backup (`soma restore`), or move the folder away to begin a new log",
                frontier.size(),
                store.size()
            );
        }
        let signed = frontier.size();
        let mut tree = Tree::open(&folder.join(tree::FILE), &records, &frontier)?;
        while frontier.size() < store.size() {
            for line in read(&records, frontier.size(), store.size())? {
                tree.extend(&frontier.push(&line::leaf(&line)));
            }
        }
        shared.size.store(store.size(), SeqCst);
        let mut writer = Self {
            store,
            frontier,
            tree,
            secret,
            head,
            shared,
            written,
            pending: Lines::default(),
            tried: Instant::now(),
            signed,
            signed_at: Instant::now(),
        };
        writer.sign()?;
        Ok(writer)
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
            if self.signed < self.frontier.size() && self.signed_at.elapsed() >= CHECKPOINT {
                self.sign_logged();
            }
        }
        self.flush(Vec::new());
        self.sign_logged();
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.is_signed()
    }

    fn is_signed(&self) -> bool {
        self.signed == self.frontier.size()
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
                let erase = |line: &[u8]| {
                    let goes = !line::is_erased(line) && is_meant(line);
                    goes.then(|| line::erase(line))
                };
                let _ = done.send(self.store.rewrite(erase));
            }
            Order::Sign(done) => {
                // One signature is for all who ask for it at the same time.
                let signed = match self.is_signed() {
                    true => Ok(()),
                    false => self.sign(),
                };
                let _ = done.send(signed.map_err(|error| Unwritten(error.to_string())));
            }
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
        let written = self.store.append(&self.pending);
        timer.observe_duration();
        let is_first = match &written {
            Ok(()) => self.shared.is_broken.swap(false, SeqCst),
            Err(_) => !self.shared.is_broken.swap(true, SeqCst),
        };
        // Of several files the first may have taken some, and the next none.
        let taken = self.store.size() - self.frontier.size();
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        for line in self.pending.iter().take(taken) {
            self.tree.extend(&self.frontier.push(&line::leaf(line)));
        }
        self.pending.drop_first(taken);
        // In this order: a line that is not on its way any more is there.
        self.shared.size.store(self.frontier.size(), SeqCst);
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
        self.tree.write();
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
        let mut checkpoint = Checkpoint::sign(&self.secret, &self.frontier)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        checkpoint.cosign(&self.secret, now)?;
        let note = String::from_utf8(checkpoint.to_bytes())?;
        let head = Head {
            checkpoint: note.clone(),
            frontier: self.frontier.clone(),
        };
        // Whatever is signed can be proven after a power cut too.
        self.tree.sync();
        owner_only::replace(&self.head, &serde_json::to_vec(&head)?)?;
        self.signed = self.frontier.size();
        self.signed_at = Instant::now();
        *self
            .shared
            .checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = note;
        Ok(())
    }
}
