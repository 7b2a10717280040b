//! The words that registry, host and runtime share: what a capsule is called ([`CapsuleName`],
//! [`Digest`]), what it offers ([`Tool`]), what it may ask for and be given ([`Limits`],
//! [`Origin`]). A leaf crate without I/O.

mod digest;
mod limits;
mod name;
mod origin;
mod tool;

pub use digest::{Digest, DigestError};
pub use limits::{Limits, LimitsAsked};
pub use name::{CapsuleName, Name, NameError};
pub use origin::{Origin, OriginError};
pub use tool::{Annotations, Tool};
