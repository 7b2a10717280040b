//! Random bytes fit for cryptography, fresh in every call. The `getrandom` and `rand` crates work
//! too.
//!
//! ```
//! use soma_sdk::random;
//!
//! let token = random::bytes(16);
//! assert_eq!(token.len(), 16);
//! assert_ne!(token, random::bytes(16));
//! ```
//!
//! ```
//! # use soma_sdk::{Error, random};
//! // Random bytes cannot fail; what is made of them can.
//! fn pick<T>(from: &[T]) -> Result<&T, Error> {
//!     let last = from.len().checked_sub(1).ok_or_else(|| Error::invalid_input("nothing to pick from"))?;
//!     Ok(&from[random::u64() as usize % (last + 1)])
//! }
//! assert!(pick::<u8>(&[]).is_err());
//! ```

/// The most bytes the host gives at once.
#[cfg(target_family = "wasm")]
const AT_ONCE: usize = 65536;

/// `len` random bytes.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes);
    bytes
}

/// A random number, each of them as likely.
pub fn u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Fills the whole slice with random bytes.
#[cfg(target_family = "wasm")]
pub fn fill(bytes: &mut [u8]) {
    for piece in bytes.chunks_mut(AT_ONCE) {
        let len = u32::try_from(piece.len()).unwrap_or(0);
        piece.copy_from_slice(&crate::bindings::soma::capsule::random::bytes(len));
    }
}

/// Fills the whole slice with random bytes.
///
/// # Panics
/// Where the machine has no source of random bytes.
#[cfg(not(target_family = "wasm"))]
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the machine has a source of random bytes");
}
