//! One call of one component, safely: the only home of wasmtime.
//!
//! State is named by how long it lives: [`Engine`] (the process), [`Capsule`] (one digest,
//! precompiled and linked, made by the [`Loader`]), and the private `InvocationState` (one
//! [`Call`]). Every call gets a fresh instance and gives back an [`Outcome`]: a result and what
//! it used, even when the guest trapped.

mod balance;
mod bindings;
mod capsule;
mod clock;
mod code_cache;
mod compile;
mod credential;
mod deadline;
mod describe;
mod effects;
mod engine;
mod given;
mod imports;
mod invocation;
mod kv;
mod loader;
mod log;
mod mask;
mod meter;
mod network;
mod outcome;
mod output;
mod state;
mod toolbox;
mod traffic;

pub use balance::Allowance;
pub use capsule::{Capsule, LinkError};
pub use code_cache::CacheError;
pub use compile::{CompileError, Compiler, compile_stdin};
pub use credential::{Credential, CredentialError, Presentation, SigV4};
pub use describe::{DescribeError, describe};
pub use effects::{Egress, Herald};
pub use engine::{ENGINE, Engine, EngineConfig, EngineError};
pub use given::Given;
pub use invocation::{Call, Progress};
pub use kv::{Change, Changed, Kv, KvError, KvStore, MemoryKv, Write};
pub use loader::{LoadError, Loader};
pub use network::{
    Learned, Lesson, Links, Network, NetworkError, Rules, Wanted, check_authorities,
};
pub use outcome::{Failure, Outcome, Side, Usage};
pub use output::{Content, Output, ResourceContents, ToolError};
pub use toolbox::{Inner, InnerCall, Left, NoAnswer, Toolbox, Tools};
