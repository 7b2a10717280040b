//! A store that a test gives.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::soma::capsule::kv::Error;

type Entries = BTreeMap<String, Vec<u8>>;

thread_local! {
    static GIVEN: RefCell<Option<Entries>> = const { RefCell::new(None) };
}

/// The store of this thread for as long as the value lives; without one, [`kv`](crate::kv) is
/// denied. Only the host has a quota.
#[derive(Debug)]
#[must_use = "there is a store only while this value lives: `let _store = …`"]
pub struct Store(());

impl Store {
    /// An empty one.
    #[expect(
        clippy::new_without_default,
        reason = "a default would not be seen to act"
    )]
    pub fn new() -> Self {
        GIVEN.set(Some(Entries::new()));
        Self(())
    }

    /// With this value under this key.
    pub fn with(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        GIVEN.with_borrow_mut(|given| {
            let entries = given.get_or_insert_default();
            entries.insert(key.to_owned(), value.into());
        });
        self
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        GIVEN.set(None);
    }
}

/// What the host does with the given entries.
fn entries<T>(act: impl FnOnce(&mut Entries) -> Result<T, Error>) -> Result<T, Error> {
    GIVEN.with_borrow_mut(|given| match given {
        Some(entries) => act(entries),
        None => Err(Error::Denied(
            "this test gives no store: `testing::Store::new()` does".to_owned(),
        )),
    })
}

fn change<T>(
    key: &str,
    act: impl FnOnce(Option<&Vec<u8>>) -> Result<(Option<Vec<u8>>, T), Error>,
) -> Result<T, Error> {
    entries(|entries| {
        if !(1..=512).contains(&key.len()) {
            let why = format!("a key has 1 to 512 bytes, this one has {}", key.len());
            return Err(Error::Invalid(why));
        }
        let (next, answer) = act(entries.get(key))?;
        match next {
            Some(value) if value.len() > 1 << 20 => {
                let why = "a value has at most 1048576 bytes".to_owned();
                return Err(Error::Invalid(why));
            }
            Some(value) => entries.insert(key.to_owned(), value),
            None => entries.remove(key),
        };
        Ok(answer)
    })
}

pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    change(key, |before| Ok((before.cloned(), before.cloned())))
}

pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), Error> {
    change(key, |_| Ok((Some(value.to_owned()), ())))
}

pub(crate) fn delete(key: &str) -> Result<(), Error> {
    change(key, |_| Ok((None, ())))
}

pub(crate) fn compare_and_set(
    key: &str,
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<bool, Error> {
    change(key, |before| {
        let is_same = before.map(Vec::as_slice) == old;
        let next = if is_same {
            new.map(<[u8]>::to_vec)
        } else {
            before.cloned()
        };
        Ok((next, is_same))
    })
}

pub(crate) fn increment(key: &str, by: i64) -> Result<i64, Error> {
    change(key, |before| {
        let text = before.map_or(Some("0"), |value| str::from_utf8(value).ok());
        let number: Option<i64> = text.and_then(|text| text.parse().ok());
        let sum = number.and_then(|number| number.checked_add(by));
        let why = || Error::Invalid("no whole number of 64 bits".to_owned());
        let sum = sum.ok_or_else(why)?;
        Ok((Some(sum.to_string().into_bytes()), sum))
    })
}

pub(crate) fn list_keys(prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
    entries(|entries| {
        let keys = entries.keys().filter(|key| key.starts_with(prefix));
        let keys = keys.filter(|key| after.is_none_or(|after| key.as_str() > after));
        Ok(keys.take(1000).cloned().collect())
    })
}
