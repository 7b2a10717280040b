//! What a capsule keeps from call to call. Where it is kept is another crate's to say: here is what
//! may be kept, and what becomes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime_wasi::async_trait;

/// Bytes of a key.
const MOST_KEY_BYTES: usize = 512;
/// Bytes of a value.
const MOST_VALUE_BYTES: usize = 1 << 20;
/// Keys in one answer.
pub(crate) const MOST_KEYS: usize = 1000;
/// What an entry takes of the quota besides its key and its value.
const ENTRY_BYTES: u64 = 32;

/// One store of one capsule. What it is asked is within the bounds.
#[async_trait]
pub trait KvStore: Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Makes a change, with nothing in between, where the quota allows it.
    async fn change(&self, key: &str, change: Change) -> Result<Changed, KvError>;

    /// The first `most` keys with this prefix, in the order of their bytes, after one of them.
    async fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, KvError>;
}

/// What can be done to the value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes this; none removes it.
    Set(Option<Vec<u8>>),
    /// It becomes `new` where it is `old`.
    CompareAndSet {
        /// What must be there.
        old: Option<Vec<u8>>,
        /// What is to be there.
        new: Option<Vec<u8>>,
    },
    /// It becomes a number that is larger by this; without a value it is 0.
    Increment(i64),
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// What was asked.
    Done,
    /// Nothing: another value was there.
    Differs,
    /// The number is this now.
    Sum(i64),
}

/// What is to be there after a change.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// What was there.
    Same,
    /// This value, or none.
    Value(Option<Vec<u8>>),
}

/// What a store has to write for a change.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// The value of the key from now on; none removes it.
    pub value: Option<Vec<u8>>,
    /// Bytes that the store takes then.
    pub used_bytes: u64,
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// There is none.
    #[error("no store was granted, or the capsule did not ask for one")]
    Denied,
    /// Nothing that a store holds.
    #[error("{0}")]
    Invalid(String),
    /// It would hold more than this many bytes.
    #[error("the store may hold {0} bytes, and this would be more")]
    QuotaExceeded(u64),
    /// It cannot be reached.
    #[error("{0}")]
    Unavailable(String),
}

/// The store of a call, or none: by whichever door a guest comes, it ends here.
#[derive(Clone, Default)]
pub struct Kv(Option<Arc<dyn KvStore>>);

/// A store in memory, which ends with it: for calls without a host.
#[derive(Debug)]
pub struct MemoryKv {
    quota: u64,
    entries: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Changed {
    /// What an increment gives.
    pub(crate) fn sum(self) -> Result<i64, KvError> {
        match self {
            Self::Sum(sum) => Ok(sum),
            Self::Done | Self::Differs => Err(KvError::Unavailable(
                "the store did not say what the sum is".to_owned(),
            )),
        }
    }
}

impl Change {
    /// Bytes that it may have a store write: of the key and the value, a number counting as its
    /// longest.
    pub(crate) fn bytes(&self, key: &str) -> usize {
        const NUMBER: usize = 20;
        let value = match self {
            Self::Increment(_) => Some(NUMBER),
            Self::Set(value) | Self::CompareAndSet { new: value, .. } => {
                value.as_ref().map(Vec::len)
            }
        };
        value.map_or(0, |value| key.len() + value)
    }

    /// What it does to a key of a store that takes so many bytes, and what has to be written, if
    /// anything, where the quota allows it.
    pub fn within(
        self,
        quota: u64,
        used_bytes: u64,
        key: &str,
        before: Option<&[u8]>,
    ) -> Result<(Changed, Option<Write>), KvError> {
        let size = |value: Option<&[u8]>| value.map_or(0, |it| entry_bytes(key.len(), it.len()));
        let others = used_bytes.saturating_sub(size(before));
        let (next, changed) = self.of(before)?;
        let Next::Value(value) = next else {
            return Ok((changed, None));
        };
        let after = others + size(value.as_deref());
        admits(quota, used_bytes, after)?;
        let write = Write {
            value,
            used_bytes: after,
        };
        Ok((changed, Some(write)))
    }

    /// What it makes of what is there.
    fn of(self, before: Option<&[u8]>) -> Result<(Next, Changed), KvError> {
        match self {
            Self::Set(new) => Ok((Next::Value(new), Changed::Done)),
            Self::CompareAndSet { old, .. } if old.as_deref() != before => {
                Ok((Next::Same, Changed::Differs))
            }
            Self::CompareAndSet { new, .. } => Ok((Next::Value(new), Changed::Done)),
            Self::Increment(by) => {
                let sum = number(before)?.checked_add(by);
                let sum = sum.ok_or_else(|| invalid("the sum has more than 64 bits"))?;
                let digits = sum.to_string().into_bytes();
                Ok((Next::Value(Some(digits)), Changed::Sum(sum)))
            }
        }
    }

    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Set(new) | Self::CompareAndSet { new, .. } => new.as_deref(),
            Self::Increment(_) => None,
        }
    }
}

/// What a key and a value of so many bytes take of a quota.
fn entry_bytes(key: usize, value: usize) -> u64 {
    (key as u64).saturating_add(value as u64) + ENTRY_BYTES
}

/// Whether a store that takes `before` may take `after`: it may always take less, since its quota
/// may have been made smaller meanwhile.
fn admits(quota: u64, before: u64, after: u64) -> Result<(), KvError> {
    if after > quota && after > before {
        return Err(KvError::QuotaExceeded(quota));
    }
    Ok(())
}

fn number(value: Option<&[u8]>) -> Result<i64, KvError> {
    let Some(value) = value else {
        return Ok(0);
    };
    let text = std::str::from_utf8(value).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| invalid("the value is no whole number of 64 bits"))
}

fn invalid(why: impl Into<String>) -> KvError {
    KvError::Invalid(why.into())
}

fn check_key(key: &str) -> Result<(), KvError> {
    if (1..=MOST_KEY_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(invalid(format!(
        "a key has 1 to {MOST_KEY_BYTES} bytes, this one has {}",
        key.len()
    )))
}

impl Kv {
    /// Of this store.
    pub fn new(store: Arc<dyn KvStore>) -> Self {
        Self(Some(store))
    }

    fn store(&self) -> Result<&dyn KvStore, KvError> {
        self.0.as_deref().ok_or(KvError::Denied)
    }

    /// Whether there is a store.
    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let store = self.store()?;
        check_key(key)?;
        store.get(key).await
    }

    pub(crate) async fn change(&self, key: &str, change: Change) -> Result<Changed, KvError> {
        let store = self.store()?;
        check_key(key)?;
        if change.value().is_some_and(|it| it.len() > MOST_VALUE_BYTES) {
            let words = format!("a value has at most {MOST_VALUE_BYTES} bytes");
            return Err(invalid(words));
        }
        store.change(key, change).await
    }

    /// At most [`MOST_KEYS`] of them.
    pub(crate) async fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>, KvError> {
        let store = self.store()?;
        if prefix.len() > MOST_KEY_BYTES {
            return Ok(Vec::new());
        }
        store.keys(prefix, after, MOST_KEYS).await
    }
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kv")
    }
}

impl MemoryKv {
    /// An empty one.
    pub fn new(quota: u64) -> Self {
        Self {
            quota,
            entries: Mutex::default(),
        }
    }
}

#[async_trait]
impl KvStore for MemoryKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entries.get(key).cloned())
    }

    async fn change(&self, key: &str, change: Change) -> Result<Changed, KvError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let sizes = entries
            .iter()
            .map(|(key, value)| entry_bytes(key.len(), value.len()));
        let before = entries.get(key).map(Vec::as_slice);
        let (changed, write) = change.within(self.quota, sizes.sum(), key, before)?;
        match write {
            Some(Write {
                value: Some(value), ..
            }) => drop(entries.insert(key.to_owned(), value)),
            Some(Write { value: None, .. }) => drop(entries.remove(key)),
            None => {}
        }
        Ok(changed)
    }

    async fn keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> Result<Vec<String>, KvError> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let keys = entries.range::<str, _>((from, Bound::Unbounded));
        let keys = keys.map(|(key, _)| key);
        let keys = keys.take_while(|key| key.starts_with(prefix));
        Ok(keys.take(most).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: Change, before: Option<&str>) -> (Next, Changed) {
        change.of(before.map(str::as_bytes)).unwrap()
    }

    fn value(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn what_a_change_makes_of_what_is_there() {
        let same = |old, new| Change::CompareAndSet { old, new };
        assert_eq!(
            changed(same(None, value("a")), None),
            (Next::Value(value("a")), Changed::Done)
        );
        assert_eq!(
            changed(same(value("a"), None), Some("a")),
            (Next::Value(None), Changed::Done)
        );
        assert_eq!(
            changed(same(None, value("a")), Some("b")),
            (Next::Same, Changed::Differs)
        );
        assert_eq!(
            changed(Change::Increment(-3), Some("1")),
            (Next::Value(value("-2")), Changed::Sum(-2))
        );
        assert_eq!(changed(Change::Increment(5), None).1, Changed::Sum(5));
        for before in ["", "x", "1.5", "9223372036854775808"] {
            let refused = Change::Increment(1).of(Some(before.as_bytes()));
            assert!(matches!(refused, Err(KvError::Invalid(_))), "{before}");
        }
        let most = i64::MAX.to_string();
        assert!(Change::Increment(1).of(Some(most.as_bytes())).is_err());
    }

    #[test]
    fn a_quota_that_became_smaller_can_be_come_back_under() {
        assert_eq!(admits(10, 0, 10), Ok(()));
        assert_eq!(admits(10, 0, 11), Err(KvError::QuotaExceeded(10)));
        assert_eq!(admits(10, 20, 19), Ok(()));
        assert_eq!(admits(10, 20, 20), Ok(()));
        assert_eq!(admits(10, 20, 21), Err(KvError::QuotaExceeded(10)));
    }
}
