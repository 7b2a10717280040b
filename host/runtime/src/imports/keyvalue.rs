//! `wasi:keyvalue`, another door to the store of [`kv`](super::kv). It has the one bucket whose name
//! is empty, or `default`.

use wasmtime::component::Resource;

use crate::bindings::keyvalue::{atomics, batch, store};
use crate::kv::{Change, Kv, KvError, MOST_KEYS};
use crate::state::InvocationState;

/// The names of the one bucket.
const NAMES: [&str; 2] = ["", "default"];

/// Bytes that one answer of `get-many` may have.
const MOST_BYTES: usize = 16 << 20;
/// Keys that one call of the host may be about: each is asked for by itself.
const MOST_AT_ONCE: usize = 1000;

/// The open bucket: the keys at which the pages of its list end, so that a page's number tells after
/// which key the next one begins.
#[derive(Default)]
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Bucket {
    ends: Vec<String>,
}

impl store::Host for InvocationState {
    async fn open(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Resource<Bucket>, store::Error>> {
        if !self.given.kv.is_there() {
            return Ok(Err(store::Error::AccessDenied));
        }
        if !NAMES.contains(&name.as_str()) {
            return Ok(Err(store::Error::NoSuchStore));
        }
        Ok(Ok(self.table.push(Bucket::default())?))
    }
}

impl store::HostBucket for InvocationState {
    async fn get(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, store::Error>> {
        Ok(self.given.kv.get(&key).await.map_err(store::Error::from))
    }

    async fn set(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let done = self.change(&key, Change::Set(Some(value))).await?;
        Ok(done.map(drop).map_err(store::Error::from))
    }

    async fn delete(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let done = self.change(&key, Change::Set(None)).await?;
        Ok(done.map(drop).map_err(store::Error::from))
    }

    async fn exists(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
    ) -> wasmtime::Result<Result<bool, store::Error>> {
        let value = self.given.kv.get(&key).await;
        Ok(value
            .map(|value| value.is_some())
            .map_err(store::Error::from))
    }

    /// A cursor is of one open bucket, and says how many pages came before.
    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> wasmtime::Result<Result<store::KeyResponse, store::Error>> {
        let ends = &mut self.table.get_mut(&bucket)?.ends;
        let page = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
        let after = match page.checked_sub(1) {
            None => None,
            Some(before) => match ends.get(before) {
                Some(end) => Some(end.as_str()),
                None => return Ok(Err(other("no list that this bucket gave has this cursor"))),
            },
        };
        let keys = match self.given.kv.keys("", after).await {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error.into())),
        };
        let end = keys.last().filter(|_| keys.len() == MOST_KEYS).cloned();
        let cursor = end.as_ref().map(|_| page as u64 + 1);
        ends.truncate(page);
        ends.extend(end);
        Ok(Ok(store::KeyResponse { keys, cursor }))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for InvocationState {
    async fn increment(
        &mut self,
        _bucket: Resource<Bucket>,
        key: String,
        delta: u64,
    ) -> wasmtime::Result<Result<u64, store::Error>> {
        let Ok(by) = i64::try_from(delta) else {
            return Ok(Err(other("a number here has at most 63 bits")));
        };
        let sum = self.increment(&key, by).await?;
        Ok(sum
            .map_err(store::Error::from)
            .and_then(|sum| u64::try_from(sum).map_err(|_| other("the number is below 0"))))
    }
}

impl batch::Host for InvocationState {
    async fn get_many(
        &mut self,
        _bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Found, store::Error>> {
        Ok(get_many(&self.given.kv, keys).await)
    }

    async fn set_many(
        &mut self,
        _bucket: Resource<Bucket>,
        entries: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let entries = entries.into_iter().map(|(key, value)| (key, Some(value)));
        self.set_many(entries).await
    }

    async fn delete_many(
        &mut self,
        _bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        let entries = keys.into_iter().map(|key| (key, None));
        self.set_many(entries).await
    }
}

type Found = Vec<Option<(String, Vec<u8>)>>;

async fn get_many(kv: &Kv, keys: Vec<String>) -> Result<Found, store::Error> {
    check_many(keys.len())?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    for key in keys {
        let value = kv.get(&key).await?;
        bytes += value.as_ref().map_or(0, Vec::len);
        if bytes > MOST_BYTES {
            return Err(other("these are more than 16 MiB: ask for fewer"));
        }
        found.push(value.map(|value| (key, value)));
    }
    Ok(found)
}

impl InvocationState {
    async fn set_many(
        &mut self,
        entries: impl ExactSizeIterator<Item = (String, Option<Vec<u8>>)>,
    ) -> wasmtime::Result<Result<(), store::Error>> {
        if let Err(error) = check_many(entries.len()) {
            return Ok(Err(error));
        }
        for (key, value) in entries {
            if let Err(error) = self.change(&key, Change::Set(value)).await? {
                return Ok(Err(error.into()));
            }
        }
        Ok(Ok(()))
    }
}

fn check_many(many: usize) -> Result<(), store::Error> {
    if many > MOST_AT_ONCE {
        return Err(other("these are more than 1000 keys: ask for fewer"));
    }
    Ok(())
}

fn other(why: &str) -> store::Error {
    store::Error::Other(why.to_owned())
}

impl From<KvError> for store::Error {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Denied => Self::AccessDenied,
            error => Self::Other(error.to_string()),
        }
    }
}
