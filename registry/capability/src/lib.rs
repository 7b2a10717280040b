//! The words that registry, host and runtime share: what a capsule is called ([`CapsuleName`],
//! [`Digest`]), what it offers ([`Tool`]), what it may ask for ([`Capabilities`]) and be given
//! ([`Limits`], [`Origin`]), and which texts may be shown. A leaf crate without I/O.

mod address;
mod as_text;
mod asked;
mod authorities;
mod digest;
mod granted;
mod limits;
mod name;
mod narrowing;
mod origin;
mod prices;
mod schema;
mod settings;
pub mod text;
mod tool;
mod tool_pattern;
mod unique;

pub use address::{AddressRange, AddressRangeError, special};
pub use asked::{
    AskedNameError, Capabilities, ConfigCapability, ConfigKey, CredentialName, GraphqlKind,
    HostError, HostPattern, HttpCapability, KvCapability, MAX_METHODS, MAX_OPERATIONS,
    MAX_PATH_BYTES, MAX_PATHS, Method, MethodError, Operation, OperationError, OriginPattern,
    OriginPatternError, PathError, PathTemplate, Protocol, Sentence, TemplateError, ToolCapability,
    normalise_path,
};
pub use authorities::{Authorities, AuthoritiesError};
pub use digest::{Digest, DigestError};
pub use granted::{Grant, HttpGrant, HttpGrantError, MAX_ADDRESSES, MAX_HTTP_GRANTS};
pub use limits::{Limits, LimitsAsked};
pub use name::{CapsuleName, Name, NameError};
pub use narrowing::{Narrowing, NarrowingError};
pub use origin::{Origin, OriginError};
pub use prices::{Price, Prices};
pub use settings::{Setting, SettingError, Settings};
pub use tool::{Annotations, Tool};
pub use tool_pattern::{ToolPattern, ToolPatternError};
