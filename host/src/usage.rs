//! What calls used: summed in memory, and written down every second.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use soma_capability::CapsuleName;
use soma_runtime::{ENGINE, Usage};
use sqlx::AnyPool;

use crate::auth::Caller;
use crate::budget::Span;
use crate::db::usage::{self, Line, Sums};

/// Lines that wait to be written, while the database is away: what comes beyond them is not counted.
const MOST_WAITING: usize = 100_000;

/// All that is not written down yet. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Book(Arc<Shared>);

struct Shared {
    pool: AnyPool,
    waiting: Mutex<FxHashMap<Spent, Sums>>,
}

/// What one call's usage is entered under, when it has ended.
pub(crate) struct Entry {
    book: Book,
    spent: Spent,
}

/// What a line is of, shared with the calls that it sums. Equal where the lines are.
struct Spent {
    caller: Caller,
    capsule: CapsuleName,
    tool: Arc<str>,
    /// When the day began, in milliseconds.
    day: i64,
    prices: Arc<str>,
}

/// Says in an answer's headers what the call used: `Soma-Usage-Tokens`, `-Fuel` and `-Time-Us`.
pub(crate) fn say(usage: &Usage, headers: &mut HeaderMap) {
    for (name, value) in [
        ("soma-usage-tokens", usage.tokens),
        ("soma-usage-fuel", usage.fuel),
        ("soma-usage-time-us", usage.time_us),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

impl Book {
    pub(crate) fn new(pool: AnyPool) -> Self {
        Self(Arc::new(Shared {
            pool,
            waiting: Mutex::default(),
        }))
    }

    /// Opens an entry for a call that begins.
    pub(crate) fn entry(
        &self,
        caller: &Caller,
        capsule: &CapsuleName,
        tool: &Arc<str>,
        prices: Arc<str>,
    ) -> Entry {
        Entry {
            book: self.clone(),
            spent: Spent {
                caller: caller.clone(),
                capsule: capsule.clone(),
                tool: tool.clone(),
                day: Span::Day.starts_at(Timestamp::now()),
                prices,
            },
        }
    }

    /// Writes down what there is. What cannot be written stays.
    pub(crate) async fn settle(&self) -> sqlx::Result<()> {
        let waiting = std::mem::take(&mut *self.waiting());
        if waiting.is_empty() {
            return Ok(());
        }
        let written = self.write(&waiting).await;
        if written.is_err() {
            for (spent, sums) in waiting {
                self.add(spent, &sums);
            }
        }
        written
    }

    async fn write(&self, waiting: &FxHashMap<Spent, Sums>) -> sqlx::Result<()> {
        let mut transaction = self.0.pool.begin().await?;
        // In an order that every host keeps: none waits for one that waits for it.
        let lines = waiting.iter().map(|(spent, sums)| (spent.line(), sums));
        let lines: BTreeMap<_, _> = lines.collect();
        for (line, sums) in lines {
            usage::add(&mut transaction, line, ENGINE, sums).await?;
        }
        transaction.commit().await
    }

    fn add(&self, spent: Spent, sums: &Sums) {
        let mut waiting = self.waiting();
        if waiting.len() < MOST_WAITING || waiting.contains_key(&spent) {
            waiting.entry(spent).or_default().add(sums);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, FxHashMap<Spent, Sums>> {
        let waiting = self.0.waiting.lock();
        waiting.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The call has ended, and these tokens are charged for it. What it called has entries of its own.
    pub(crate) fn close(self, usage: &Usage, tokens: u64, has_failed: bool) {
        let sums = Sums {
            calls: 1,
            failed: has_failed.into(),
            tokens: tokens.saturating_sub(usage.tool_tokens),
            fuel: usage.fuel - usage.tool_fuel,
            time_us: usage.time_us,
            sent_bytes: usage.sent_bytes,
            received_bytes: usage.received_bytes,
        };
        self.book.add(self.spent, &sums);
    }
}

impl Spent {
    fn line(&self) -> Line<'_> {
        Line {
            tenant: self.caller.tenant_id(),
            key: self.caller.key_id(),
            capsule: &self.capsule,
            tool: &self.tool,
            day: self.day,
            prices: &self.prices,
        }
    }
}

impl PartialEq for Spent {
    fn eq(&self, other: &Self) -> bool {
        self.line() == other.line()
    }
}

impl Eq for Spent {}

impl Hash for Spent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.line().hash(state);
    }
}
