//! `soma:capsule/kv`.

use crate::bindings::soma::capsule::kv as wit;
use crate::kv::{Change, Changed, KvError};
use crate::state::InvocationState;

/// Changes, by whichever door.
impl InvocationState {
    /// Makes a change, which the call pays for beforehand.
    pub(super) async fn change(
        &mut self,
        key: &str,
        change: Change,
    ) -> wasmtime::Result<Result<Changed, KvError>> {
        if self.given.kv.is_there() {
            self.meter.store(change.bytes(key))?;
        }
        Ok(self.given.kv.change(key, change).await)
    }

    /// Gives the sum.
    pub(super) async fn increment(
        &mut self,
        key: &str,
        by: i64,
    ) -> wasmtime::Result<Result<i64, KvError>> {
        let changed = self.change(key, Change::Increment(by)).await?;
        Ok(changed.and_then(Changed::sum))
    }
}

impl wit::Host for InvocationState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, wit::Error>> {
        Ok(self.given.kv.get(&key).await.map_err(wit::Error::from))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), wit::Error>> {
        let done = self.change(&key, Change::Set(Some(value))).await?;
        Ok(done.map(drop).map_err(wit::Error::from))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), wit::Error>> {
        let done = self.change(&key, Change::Set(None)).await?;
        Ok(done.map(drop).map_err(wit::Error::from))
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        old: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<bool, wit::Error>> {
        let change = Change::CompareAndSet { old, new };
        let done = self.change(&key, change).await?;
        Ok(done
            .map(|changed| changed != Changed::Differs)
            .map_err(wit::Error::from))
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
    ) -> wasmtime::Result<Result<i64, wit::Error>> {
        let sum = self.increment(&key, by).await?;
        Ok(sum.map_err(wit::Error::from))
    }

    async fn list_keys(
        &mut self,
        prefix: String,
        after: Option<String>,
    ) -> wasmtime::Result<Result<Vec<String>, wit::Error>> {
        let keys = self.given.kv.keys(&prefix, after.as_deref()).await;
        Ok(keys.map_err(wit::Error::from))
    }
}

impl From<KvError> for wit::Error {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Denied => Self::Denied(error.to_string()),
            KvError::Invalid(why) => Self::Invalid(why),
            KvError::QuotaExceeded(quota) => Self::QuotaExceeded(quota),
            KvError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
