//! The one thread that writes the log: whatever has come in the meantime goes to disk together, and
//! whoever waits for it is told then.

use std::io::{self, ErrorKind};
use std::iter;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use prometheus::Histogram;
use serde::{Deserialize, Serialize};
use soma_registry::log::{Checkpoint, Frontier, NoteSecret};
use soma_registry::owner_only;
use tokio::sync::oneshot;

use super::layout::read_next;
use super::line::{self, is_line};
use super::lines::Lines;
use super::store::Store;
use super::tree::{self, Tree};
use super::{Entry, Event, Salt, Shared, Unwritten};

/// How old a checkpoint may be while lines come in.
const CHECKPOINT: Duration = Duration::from_secs(1);
/// How often it is tried again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(1);
/// How long lines that nobody waits for may wait for others.
const LINGER: Duration = Duration::from_millis(50);
/// What is left to do where records are gone.
const ADVICE: &str = "restore the host from a backup (`soma restore`), or move the folder away to \
                      begin a new log";

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
    GiveUpTree,
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
    /// Goes on where the last host ended, and records that this one begins. Refuses a log of which
    /// files are gone, or lines that were signed.
    pub(super) fn open(
        folder: &Path,
        secret: NoteSecret,
        shared: Arc<Shared>,
        written: Histogram,
    ) -> anyhow::Result<Self> {
        let head = folder.join("head.json");
        let records = folder.join("records");
        let mut store = Store::open(&records).map_err(advised)?;
        let mut frontier = Frontier::default();
        let is_new = match std::fs::read(&head) {
            Ok(bytes) => {
                let kept: Head = serde_json::from_slice(&bytes).context("head.json")?;
                let checkpoint = Checkpoint::read(kept.checkpoint.as_bytes(), &secret.log_key());
                let checkpoint = checkpoint.context("head.json")?;
                if checkpoint.root() != kept.frontier.root() {
                    bail!("head.json: its edge does not make the root that was signed");
                }
                frontier = kept.frontier;
                false
            }
            Err(error) if error.kind() == ErrorKind::NotFound && store.size() == 0 => true,
            Err(error) => return Err(error).context("head.json"),
        };
        if store.size() < frontier.size() {
            bail!(
                "{} records were signed and {} are there: some are gone; {ADVICE}",
                frontier.size(),
                store.size()
            );
        }
        let signed = frontier.size();
        store.cut(signed, is_line).map_err(advised)?;
        let tree = Tree::open(&folder.join(tree::FILE), &records, &frontier)?;
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
        if is_new {
            // Lines that nothing was signed before are refused.
            writer.sign()?;
        }
        writer.begin(&records)?;
        Ok(writer)
    }

    /// Takes what came after the newest checkpoint as it is, with the record of this start behind it,
    /// and signs both together: nothing of that is signed before it is counted.
    fn begin(&mut self, records: &Path) -> anyhow::Result<()> {
        let start = Event::Start {
            version: env!("CARGO_PKG_VERSION"),
            unsigned: NonZeroU64::new(self.store.size() - self.frontier.size()),
        };
        let line = Salt::new().line(Entry::by_host(None, start))?;
        self.store.append(&iter::once(line).collect())?;
        while self.frontier.size() < self.store.size() {
            let lines = read_next(records, self.frontier.size(), self.store.size());
            for line in lines.map_err(advised)? {
                self.tree.extend(&self.frontier.push(&line::leaf(&line)));
            }
        }
        self.shared.size.store(self.store.size(), SeqCst);
        self.sign()
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
            Order::GiveUpTree => {
                let error = io::Error::other("a receipt that was made of them proves nothing");
                self.tree.lose(&error);
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

/// The error, with what is left to do where records are gone.
fn advised(error: io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::InvalidData => anyhow!("{error}; {ADVICE}"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use prometheus::HistogramOpts;
    use serde_json::{Value, json};
    use soma_registry::SecretKey;
    use tempfile::TempDir;

    use super::super::layout::{IN_FILE, path, read};
    use super::super::line::Line;
    use super::*;

    /// A log that hosts begin with.
    struct Log {
        folder: TempDir,
        records: PathBuf,
        secret: String,
    }

    impl Log {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let records = folder.path().join("records");
            fs::create_dir(&records).unwrap();
            let secret = NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap();
            Self {
                folder,
                records,
                secret: secret.expose(),
            }
        }

        fn open(&self) -> anyhow::Result<Writer> {
            let secret = self.secret.parse().unwrap();
            let written = Histogram::with_opts(HistogramOpts::new("written", "Seconds.")).unwrap();
            Writer::open(self.folder.path(), secret, Arc::default(), written)
        }

        fn is_refused(&self, words: &str) {
            let error = format!("{:#}", self.open().err().unwrap());
            assert!(error.contains(words), "{error}");
            assert!(error.contains("; restore the host"), "{error}");
        }

        fn records(&self) -> Vec<Value> {
            let lines = read(&self.records, 0, IN_FILE).unwrap();
            let record = |line: &Vec<u8>| Line::<Value>::read(line).unwrap().record;
            lines.iter().map(record).collect()
        }
    }

    #[test]
    fn what_came_after_the_newest_checkpoint_is_counted_and_what_is_no_record_cut_off() {
        let log = Log::new();
        for _ in 0..2 {
            log.open().unwrap();
        }
        let file = path(&log.records, 0);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str(&"{\"salt\":\"\",\"record\":{\"kind\":\"call\"}}\n".repeat(3));
        text.push_str("\0\0\0\n{\"salt\":\"\",\"record\":{}}\n{\"salt");
        fs::write(&file, text).unwrap();
        let writer = log.open().unwrap();
        assert_eq!((writer.signed, writer.store.size()), (6, 6));
        assert_eq!(writer.shared.size.load(SeqCst), 6);
        let of = |member: &str| -> Vec<Value> {
            let records = log.records();
            records.iter().map(|it| it[member].clone()).collect()
        };
        let kinds = ["start", "start", "call", "call", "call", "start"];
        assert_eq!(of("kind"), kinds);
        let counted = json!([null, null, null, null, null, 3]);
        assert_eq!(json!(of("unsigned")), counted);
    }

    #[test]
    fn a_log_of_which_files_or_signed_lines_are_gone_is_refused() {
        let log = Log::new();
        log.open().unwrap();
        let far = path(&log.records, 244 * IN_FILE);
        fs::write(&far, "").unwrap();
        log.is_refused("there is no file 000000004096.jsonl");
        fs::remove_file(far).unwrap();

        let (first, next) = (path(&log.records, 0), path(&log.records, IN_FILE));
        let kept = fs::read(&first).unwrap();
        fs::write(&first, "").unwrap();
        log.is_refused("1 records were signed and 0 are there");
        fs::write(&next, "").unwrap();
        log.is_refused("records are missing after 0");
        fs::remove_file(&first).unwrap();
        log.is_refused("there is no file 000000000000.jsonl");
        // Where all that was signed is there, what follows nothing goes.
        fs::write(&first, kept).unwrap();
        fs::write(&next, "{\"salt\":\"\",\"record\":{}}\n").unwrap();
        log.open().unwrap();
        assert_eq!(log.records().len(), 2);
        assert!(!next.exists());
    }
}
