//! JSON in its one canonical form (RFC 8785): what is signed and hashed has no second spelling.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not the canonical JSON of a type.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Not JSON of that type.
    #[error("cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The right things in another form.
    #[error("is not in its one canonical form (RFC 8785)")]
    Form,
}

/// Writes the one form.
pub(crate) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

/// Reads the one form and refuses every other, unknown members among them.
pub(crate) fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value = serde_json::from_slice(bytes)?;
    if write(&value)? != bytes {
        return Err(CanonicalError::Form);
    }
    Ok(value)
}
