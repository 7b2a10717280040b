//! The host's own log: an append-only record of every call and of everything an administrator did,
//! in a tree whose root is signed, so that nothing in it can be changed without being seen
//! (docs/audit.md). One thread writes it; what comes at the same time goes to disk together.

mod call;
mod entry;
mod erasing;
mod files;
mod head;
mod layout;
mod line;
mod lines;
mod log;
mod old;
mod receipts;
mod sought;
mod store;
mod tree;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use prometheus::Histogram;
use serde_json::Value;
use soma_registry::log::{LogKey, NoteSecret};
use soma_registry::{SecretKey, owner_only};
use tokio::sync::{Semaphore, oneshot};

pub(crate) use self::call::{CallRecord, refused, replayed};
pub(crate) use self::entry::{Called, Entry, Event, Target};
use self::erasing::Erasing;
pub(crate) use self::files::{files, prove, signed, written};
pub(crate) use self::layout::whole_lines;
pub(crate) use self::line::{Line, Salt, salted};
pub use self::line::{is_erased, leaf};
use self::lines::Lines;
use self::log::Log;
use self::writer::{Order, Writer};
use crate::app::AppState;
use crate::auth::Caller;
use crate::db::tenants;
use crate::error::Error;
use crate::keep::Keep;

/// Lines on their way that nobody waits for, before somebody has to.
const MANY: usize = 8192;
/// Receipts whose records are looked for at once.
const LOOK_UPS: usize = 4;
/// How often it is seen whether records are older than they are kept.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// The log of this host.
pub(crate) struct Audit {
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    records: PathBuf,
    /// The file of the tree's hashes.
    hashes: PathBuf,
    look_ups: Arc<Semaphore>,
    key: LogKey,
    pub(crate) erasing: Erasing,
}

/// What the writing thread and the others both look at.
#[derive(Default)]
struct Shared {
    /// Lines on disk.
    size: AtomicU64,
    /// Lines on their way there, in their order.
    lines: Mutex<Lines>,
    /// How many those are, with those that the thread has taken and could not write yet.
    queued: AtomicUsize,
    is_broken: AtomicBool,
    /// The newest signed checkpoint.
    checkpoint: Mutex<String>,
}

/// A line that is not on disk.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the audit log cannot be written: {0}")]
pub(crate) struct Unwritten(String);

impl Unwritten {
    fn without_thread() -> Self {
        Self("its thread has ended".to_owned())
    }
}

impl Audit {
    /// Opens the log in the data folder, or begins one, with a key of its own.
    pub(crate) fn open(data: &Path, written: Histogram) -> anyhow::Result<Self> {
        let folder = data.join("audit");
        let open = || {
            let records = folder.join("records");
            owner_only::folder(&records)?;
            let secret = provide_secret(&folder.join("key"))?;
            let key = secret.log_key();
            let shared = Arc::new(Shared::default());
            let writer = Writer::new(Log::open(&folder, secret)?, shared.clone(), written);
            let (orders, ordered) = mpsc::channel();
            std::thread::Builder::new()
                .name("audit".to_owned())
                .spawn(move || writer.run(&ordered))?;
            anyhow::Ok(Self {
                orders,
                shared,
                records,
                hashes: folder.join(tree::FILE),
                look_ups: Arc::new(Semaphore::new(LOOK_UPS)),
                key,
                erasing: Erasing::open(&folder)?,
            })
        };
        open().with_context(|| format!("the audit log in {}", folder.display()))
    }

    /// The key that checkpoints are signed with.
    pub(crate) fn key(&self) -> &LogKey {
        &self.key
    }

    /// Goes on where what is about to happen can be recorded.
    pub(crate) fn admit(&self) -> Result<(), Error> {
        if self.shared.is_broken.load(SeqCst) {
            return Err(Error::AuditUnwritable);
        }
        Ok(())
    }

    /// Records what was done; once this returns, it outlives a power cut.
    pub(crate) async fn record(&self, entry: &Entry) -> Result<(), Error> {
        self.write(&Salt::new(), entry, true).await
    }

    /// Records what a caller did.
    pub(crate) async fn by(&self, caller: &Caller, event: Event) -> Result<(), Error> {
        self.record(&Entry::by(caller, event)).await
    }

    /// The same with a salt that hashes in the entry were made with, and, where it is not `durable`,
    /// without waiting.
    pub(crate) async fn write(
        &self,
        salt: &Salt,
        entry: &Entry,
        durable: bool,
    ) -> Result<(), Error> {
        let line = salt.line(entry).map_err(|e| Unwritten(e.to_string()))?;
        let many = self.shared.queued.fetch_add(1, SeqCst) >= MANY;
        let is_first = self.shared.push(&line);
        if durable || many {
            let (told, waiting) = oneshot::channel();
            self.order(Order::Write(told))?;
            return Ok(answered(waiting).await??);
        }
        // Waking the thread costs more than all the rest: once for all that come meanwhile.
        if is_first {
            self.order(Order::Linger)?;
        }
        Ok(())
    }

    /// The newest checkpoint, made to have everything in it that is recorded now.
    pub(crate) async fn checkpoint(&self) -> Result<String, Error> {
        let (told, waiting) = oneshot::channel();
        self.order(Order::Sign(told))?;
        answered(waiting).await??;
        Ok(self.shared.checkpoint().clone())
    }

    /// How many records there are.
    pub(crate) fn size(&self) -> u64 {
        self.shared.size.load(SeqCst)
    }

    /// The lines from an index to the end of the file that they are in.
    pub(crate) async fn lines(&self, from: u64) -> Result<Vec<Vec<u8>>, Error> {
        let (folder, size) = (self.records.clone(), self.size());
        let read = tokio::task::spawn_blocking(move || layout::read(&folder, from, size));
        Ok(read.await??)
    }

    /// The lines that stand before an index in the file of the last of them, with the index of the
    /// first.
    pub(crate) async fn lines_before(&self, end: u64) -> Result<(u64, Vec<Vec<u8>>), Error> {
        let first = layout::first_of(end.min(self.size()).saturating_sub(1));
        let mut lines = self.lines(first).await?;
        lines.truncate(usize::try_from(end - first).unwrap_or(usize::MAX));
        Ok((first, lines))
    }

    /// Erases the records of which this is true, and the salts of their hashes. What is proven of
    /// the others stays proven. Gives how many it was.
    pub(crate) async fn erase(
        &self,
        is_meant: impl Fn(&Value) -> bool + Send + 'static,
    ) -> Result<u64, Error> {
        let (told, waiting) = oneshot::channel();
        let of_line = move |line: &[u8]| {
            let line = Line::<Value>::read(line);
            line.is_some_and(|line| is_meant(&line.record))
        };
        self.order(Order::Erase(Box::new(of_line), told))?;
        Ok(answered(waiting).await??)
    }

    /// Erases what there is of a tenant that the database has forgotten, and records that it went, as
    /// `entry` has it.
    pub(crate) async fn forget_tenant(
        &self,
        tenant: &str,
        entry: impl FnOnce(Event) -> Entry,
    ) -> Result<(), Error> {
        let of = tenant.to_owned();
        self.erase(move |record| is_of(record, &of)).await?;
        let of = tenant.to_owned();
        self.record(&entry(Event::TenantDeleted { of })).await?;
        Ok(self.erasing.end(tenant)?)
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        let ordered = self.orders.send(order);
        ordered.map_err(|_| Unwritten::without_thread().into())
    }
}

impl Shared {
    /// Puts a line behind those that are on their way; says whether it is alone.
    fn push(&self, line: &[u8]) -> bool {
        let mut lines = self.lines();
        lines.push(line);
        lines.len() == 1
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checkpoint(&self) -> MutexGuard<'_, String> {
        let newest = self.checkpoint.lock();
        newest.unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answered<T>(waiting: oneshot::Receiver<T>) -> Result<T, Unwritten> {
    let answer = waiting.await;
    answer.map_err(|_| Unwritten::without_thread())
}

/// The key in the file.
fn secret(file: &Path) -> anyhow::Result<NoteSecret> {
    Ok(fs::read_to_string(file)?.trim_end().parse()?)
}

/// The same, or a new one.
fn provide_secret(file: &Path) -> anyhow::Result<NoteSecret> {
    if file.exists() {
        owner_only::file(file)?;
        return secret(file);
    }
    let key = SecretKey::generate()?;
    let mut name = [0; 4];
    getrandom::fill(&mut name)?;
    let secret = NoteSecret::new(format!("soma-host-{}", hex::encode(name)), key)?;
    owner_only::create(file, &format!("{}\n", secret.expose()))?;
    Ok(secret)
}

/// Whether a record is a tenant's, or of what was done to it.
pub(crate) fn is_of(record: &Value, tenant: &str) -> bool {
    record["tenant"] == tenant || record["of"] == tenant
}

/// Erases records that are older than they are kept, and what a host before this one left of deleted
/// tenants, until it is dropped.
pub(crate) async fn sweep(app: AppState) {
    loop {
        if let Err(error) = erase_left(&app).await {
            tracing::error!(%error, "the records of a deleted tenant could not be erased");
        }
        let keep = app.live().settings.keep;
        if let Err(error) = erase_old(&app, keep).await {
            tracing::error!(%error, "old records could not be erased");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

async fn erase_left(app: &AppState) -> Result<(), Error> {
    for tenant in app.audit.erasing.left() {
        if tenants::by_name(&app.pool, tenant).await?.is_some() {
            // Its deletion did not come so far.
            app.audit.erasing.end(tenant)?;
            continue;
        }
        let by_host = |event| Entry::by_host(None, event);
        app.audit.forget_tenant(tenant, by_host).await?;
        tracing::warn!(tenant, "its records are erased: a host before ended first");
    }
    Ok(())
}

async fn erase_old(app: &AppState, keep: Keep) -> Result<(), Error> {
    let Some(of) = old::said(keep) else {
        return Ok(());
    };
    let now = Timestamp::now();
    let is_over = move |record: &Value| old::is_over(record, keep, now);
    let records = app.audit.erase(is_over).await?;
    if records > 0 {
        let event = Event::Erased { of, records };
        app.audit.record(&Entry::by_host(None, event)).await?;
    }
    Ok(())
}
