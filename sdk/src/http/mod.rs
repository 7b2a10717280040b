//! HTTP requests, in the manner of reqwest. The host sends only what the operator granted, and
//! does not follow redirects: they come back as the responses they are.
//!
//! ```
//! use soma_sdk::{http, testing};
//! # use soma_sdk::serde_json::json;
//! # let _net = testing::Http::new()
//! #     .on_get("https://api.test/users?name=ada", testing::reply(200).json(&json!([{"id": 1}])));
//!
//! let users: Vec<soma_sdk::serde_json::Value> = http::get("https://api.test/users")
//!     .header("accept", "application/json")
//!     .query(&[("name", "ada")])
//!     .send()?
//!     .error_for_status()?
//!     .json()?;
//! assert_eq!(users.len(), 1);
//! # Ok::<(), soma_sdk::Error>(())
//! ```
//!
//! `?` in a tool turns what goes wrong into the kind of [`Error`](crate::Error) that fits:
//!
//! ```
//! # use soma_sdk::{Error, http, testing};
//! # let _net = testing::Http::new()
//! #     .on_get("https://api.test/users", testing::reply(429).header("retry-after", "30"));
//! fn users() -> Result<String, Error> {
//!     Ok(http::get("https://api.test/users").send()?.error_for_status()?.text())
//! }
//! assert!(matches!(users(), Err(Error::RateLimited { retry_after: Some(_), .. })));
//! ```

mod error;
mod headers;
mod request;
mod response;
pub mod stream;
mod transport;

pub use error::Error;
pub use headers::Headers;
pub(crate) use request::Parts;
pub use request::Request;
pub use response::Response;

/// A `GET` request.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// A `HEAD` request.
pub fn head(url: impl Into<String>) -> Request {
    request("HEAD", url)
}

/// A `POST` request.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// A `PUT` request.
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// A `PATCH` request.
pub fn patch(url: impl Into<String>) -> Request {
    request("PATCH", url)
}

/// A `DELETE` request.
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

/// A request with any method (an RFC 9110 method token, in capitals) to an absolute `http` or
/// `https` URL.
pub fn request(method: impl Into<String>, url: impl Into<String>) -> Request {
    Request::new(method.into(), url.into())
}
