//! How far a call has come, for whoever is waiting.
//!
//! ```
//! use soma_sdk::progress;
//!
//! let pages = ["a", "b", "c"];
//! for (done, page) in pages.iter().enumerate() {
//!     progress::report(done as f64, Some(pages.len() as f64), Some(&format!("reading {page}")));
//! }
//! ```
//!
//! ```
//! # use soma_sdk::{Error, progress};
//! // Reporting cannot fail, and a report does not outlive an error: the call's end says it all.
//! fn read(pages: &[&str]) -> Result<(), Error> {
//!     progress::report(0.0, None, None);
//!     Err(Error::not_found(format!("none of {} pages exists", pages.len())))
//! }
//! assert!(read(&["a"]).is_err());
//! ```

/// Says that `done` of `total` is done, in a unit of your own; `done` grows from call to call.
/// Natively it is a line of the log.
pub fn report(done: f64, total: Option<f64>, message: Option<&str>) {
    #[cfg(target_family = "wasm")]
    crate::bindings::soma::capsule::progress::report(done, total, message);
    #[cfg(not(target_family = "wasm"))]
    log::debug!(target: "progress", "{done} of {total:?}: {}", message.unwrap_or_default());
}
