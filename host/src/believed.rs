//! Look-ups remembered for a moment, so that most calls go without the database.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use moka::future::Cache;

use crate::error::Error;

/// How long a look-up is believed: the time within which a change made by another host holds here
/// too. A change made through this host holds at once.
const BELIEVED: Duration = Duration::from_secs(1);
/// Look-ups remembered, in vain ones too.
const REMEMBERED: u64 = 10_000;

/// What was looked up, by what it was looked up for.
pub(crate) struct Believed<K, V> {
    found: Cache<K, Found<V>>,
    /// Changes made through this host.
    changes: AtomicU64,
}

#[derive(Clone)]
struct Found<V> {
    value: V,
    /// The changes there had been when the look-up began. One that began before a change may have
    /// seen what was before it, and may end after it: that it is in the cache proves nothing.
    after: u64,
}

impl<K, V> Believed<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            found: Cache::builder()
                .max_capacity(REMEMBERED)
                .time_to_live(BELIEVED)
                .build(),
            changes: AtomicU64::new(0),
        }
    }

    /// What is known under this key, or what `look_up` finds, which runs once however many ask.
    pub(crate) async fn get<Q, F>(&self, key: &Q, look_up: impl Fn() -> F) -> Result<V, Error>
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + Hash + Eq + ?Sized,
        F: Future<Output = Result<V, Error>>,
    {
        let changes = self.changes.load(SeqCst);
        loop {
            if let Some(found) = self.found.get(key).await {
                if found.after >= changes {
                    return Ok(found.value);
                }
                self.found.invalidate(key).await;
            }
            let look = async {
                let after = self.changes.load(SeqCst);
                let value = look_up().await?;
                Ok(Found { value, after })
            };
            let found = self.found.try_get_with_by_ref(key, look).await;
            let found = found.map_err(|error: Arc<Error>| Error::Shared(error))?;
            if found.after >= changes {
                return Ok(found.value);
            }
        }
    }

    /// Forgets everything, because something has changed.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_look_up_that_a_change_overtook_is_not_believed() {
        let believed = Arc::new(Believed::<String, u32>::new());
        let (begun, has_begun) = oneshot::channel();
        let (go, gone) = oneshot::channel::<()>();
        let gates = std::sync::Mutex::new(Some((begun, gone)));
        let slow = {
            let believed = believed.clone();
            tokio::spawn(async move {
                let look = || {
                    let (begun, gone) = gates.lock().unwrap().take().unwrap();
                    async {
                        begun.send(()).unwrap();
                        gone.await.unwrap();
                        Ok(1)
                    }
                };
                believed.get("key", look).await.unwrap()
            })
        };
        has_begun.await.unwrap();
        believed.forget();
        // It joins the look-up under way, and still gets what holds now.
        let after = believed.get("key", || async { Ok(2) });
        let (after, ()) = tokio::join!(after, async { go.send(()).unwrap() });
        assert_eq!((after.unwrap(), slow.await.unwrap()), (2, 1));
        let remembered = believed.get("key", || async { Ok(3) }).await;
        assert_eq!(remembered.unwrap(), 2);
    }
}
