//! Links that somebody can open who has no credential, for a while. `capsule.toml` asks for them
//! (`[[capabilities.links]]`), and the host signs them.
//!
//! ```
//! use std::time::Duration;
//! use soma_sdk::{Error, links, testing};
//!
//! fn share(report: &str) -> Result<String, Error> {
//!     let url = format!("https://s3.test/reports/{report}.pdf");
//!     Ok(links::presign("GET", &url, Duration::from_secs(300))?)
//! }
//!
//! let _links = testing::Links::new();
//! assert!(share("q3")?.starts_with("https://s3.test/reports/q3.pdf?X-Amz-"));
//! # Ok::<(), Error>(())
//! ```
//!
//! ```
//! # use std::time::Duration;
//! # use soma_sdk::{http, links};
//! // Where nobody gives any.
//! let denied = links::presign("GET", "https://s3.test/a", Duration::from_secs(60));
//! assert!(matches!(denied, Err(http::Error::Denied(_))));
//! ```

use std::time::Duration;

use crate::http::Error;

#[cfg(target_family = "wasm")]
use crate::bindings::soma::capsule::links as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::links as host;

/// The URL with a signature in its query: whoever has it can send this one request, until `age` is over,
/// which is whole seconds and at most 15 minutes.
///
/// # Errors
/// [`Error::Denied`] where no grant covers it, [`Error::InvalidRequest`] where there is no such link.
pub fn presign(method: &str, url: &str, age: Duration) -> Result<String, Error> {
    let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    Ok(host::presign(method, url, seconds)?)
}
