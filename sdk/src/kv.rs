//! A store of the capsule's own: what is kept here is there in the next call. `capsule.toml` asks for
//! it (`kv = { quota-kib = 64 }` under `[capabilities]`), and each tenant's capsule has its own.
//!
//! ```
//! use soma_sdk::{Error, kv, testing};
//!
//! fn visits(page: &str) -> Result<i64, Error> {
//!     Ok(kv::increment(&format!("visits/{page}"), 1)?)
//! }
//!
//! let _store = testing::Store::new();
//! assert_eq!(visits("home")?, 1);
//! assert_eq!(visits("home")?, 2);
//! assert_eq!(kv::keys("visits/")?, ["visits/home"]);
//! # Ok::<(), Error>(())
//! ```
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use soma_sdk::{Error, kv, serde, testing};
//!
//! #[derive(Serialize, Deserialize)]
//! # #[serde(crate = "soma_sdk::serde")]
//! struct Note {
//!     text: String,
//! }
//!
//! # let _store = testing::Store::new();
//! // Values are bytes; what has a form is kept as JSON.
//! kv::set_json("note", &Note { text: "milk".into() })?;
//! let note: Option<Note> = kv::get_json("note")?;
//! assert_eq!(note.unwrap().text, "milk");
//! # Ok::<(), Error>(())
//! ```
//!
//! Calls run beside each other: what is read and then written may have changed in between. Where
//! that matters, [`compare_and_set`] changes only what is still as it was read.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::soma::capsule::kv as wit;
#[cfg(target_family = "wasm")]
use crate::bindings::soma::capsule::kv as store;
#[cfg(not(target_family = "wasm"))]
use crate::testing::store;

/// Why the store did not do what it was asked. `?` in a tool makes the fitting
/// [`soma_sdk::Error`](crate::Error) of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The capsule did not ask for a store, or the operator granted none.
    #[error("the host does not allow this: {0}")]
    Denied(String),
    /// The store has no such keys or values, or what is there is no number.
    #[error("the store does not take this: {0}")]
    Invalid(String),
    /// The store would hold more than this many bytes, its quota.
    #[error("the store is full: it may hold {0} bytes")]
    QuotaExceeded(u64),
    /// The host cannot reach the store, or does not know whether the change was made.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// What is kept is not JSON of the form that was expected.
    #[error("the value of `{key}` is not what was expected: {reason}")]
    Decode {
        /// Where it is kept.
        key: String,
        /// Where in the value, and what was expected there.
        reason: String,
    },
}

/// The value of a key: 1 to 512 bytes of text.
///
/// # Errors
/// Where the host does not give it.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(store::get(key)?)
}

/// Keeps a value of at most 1 MiB, in place of the one before.
///
/// # Errors
/// Where the host does not keep it; then the one before is still there, unless the store is
/// [unavailable](Error::Unavailable).
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    Ok(store::set(key, value.as_ref())?)
}

/// Removes a value, where there is one.
///
/// # Errors
/// Where the host does not remove it.
pub fn delete(key: &str) -> Result<(), Error> {
    Ok(store::delete(key)?)
}

/// Puts `new`, or nothing, in the place of `old`, or of nothing. False, and no change, where
/// something else is there.
///
/// # Errors
/// Where the host does not change it.
pub fn compare_and_set(key: &str, old: Option<&[u8]>, new: Option<&[u8]>) -> Result<bool, Error> {
    Ok(store::compare_and_set(key, old, new)?)
}

/// Adds to a whole number, kept as its decimal digits; without a value it is 0. Gives the sum.
///
/// # Errors
/// [`Error::Invalid`] where what is kept is no such number, or the sum would be none.
pub fn increment(key: &str, by: i64) -> Result<i64, Error> {
    Ok(store::increment(key, by)?)
}

/// All keys with this prefix, in the order of their bytes.
///
/// # Errors
/// Where the host does not list them.
pub fn keys(prefix: &str) -> Result<Vec<String>, Error> {
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = store::list_keys(prefix, keys.last().map(String::as_str))?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

/// The value of a key, kept as JSON.
///
/// # Errors
/// [`Error::Decode`] where something else is kept.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let value = get(key)?.map(|value| serde_json::from_slice(&value));
    value.transpose().map_err(|error| Error::Decode {
        key: key.to_owned(),
        reason: error.to_string(),
    })
}

/// Keeps a value as JSON.
///
/// # Errors
/// [`Error::Invalid`] where it cannot be written as JSON.
pub fn set_json<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let value = serde_json::to_vec(value).map_err(|error| Error::Invalid(error.to_string()))?;
    set(key, value)
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(why) => Self::Denied(why),
            wit::Error::Invalid(why) => Self::Invalid(why),
            wit::Error::QuotaExceeded(quota) => Self::QuotaExceeded(quota),
            wit::Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}
