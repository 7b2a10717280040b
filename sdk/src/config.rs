//! Settings: plain values that the operator gives, and that `capsule.toml` asks for by name
//! (`[[capabilities.config]]`).
//!
//! ```
//! use soma_sdk::{config, testing};
//!
//! let _settings = testing::Settings::new().with("region", "eu-1");
//! assert_eq!(config::get("region").as_deref(), Some("eu-1"));
//! // A setting that nobody gave a value has none.
//! assert_eq!(config::get("language"), None);
//! ```
//!
//! ```
//! # use soma_sdk::{Error, config};
//! // What a tool cannot do without, it asks for with the setting's name, and the caller is told.
//! fn url() -> Result<String, Error> {
//!     Ok(format!("https://{}.api.test/", config::require("region")?))
//! }
//! assert!(url().unwrap_err().to_string().contains("`region`"));
//! ```

use crate::Error;

/// The value of a setting; none where the operator gave none. Natively, what the test
/// [says](crate::testing::Settings).
pub fn get(key: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::soma::capsule::config::get(key);
    #[cfg(not(target_family = "wasm"))]
    return crate::testing::setting(key);
}

/// The value of a setting that the tool cannot do without.
///
/// # Errors
/// [`Error::Failed`], with the setting's name, where the operator gave none.
pub fn require(key: &str) -> Result<String, Error> {
    let missing = || {
        Error::failed(format!(
            "the setting `{key}` has no value: its operator sets it"
        ))
    };
    get(key).ok_or_else(missing)
}
