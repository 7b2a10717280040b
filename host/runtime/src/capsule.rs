//! One component, compiled and linked: ready to be called any number of times.

use soma_capability::Digest;
use wasmtime::component::Component;

use crate::bindings::CapsulePre;
use crate::engine::Engine;
use crate::imports;
use crate::invocation::{self, Call};
use crate::outcome::Outcome;
use crate::state::InvocationState;

/// A capsule in memory. Calls share its code and nothing else.
pub struct Capsule {
    digest: Digest,
    code_bytes: usize,
    pre: CapsulePre<InvocationState>,
}

/// The component cannot be a capsule here.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It is larger than what one slot of the pool holds.
    #[error("the component does not fit this host: {0}")]
    DoesNotFit(String),
    /// It imports what the host does not have, or does not export `soma:capsule/tools`.
    #[error("the component is not a capsule: {0}")]
    NotACapsule(String),
}

impl Capsule {
    /// Links code that [`crate::Compiler`] made.
    ///
    /// # Safety
    ///
    /// `code` is native code and will run with the host's rights: it must be, unchanged, what the
    /// compiler of this very host gave back.
    #[expect(
        unsafe_code,
        reason = "loading precompiled code is what the code cache is for"
    )]
    pub(crate) unsafe fn link(
        engine: &Engine,
        digest: Digest,
        code: &[u8],
    ) -> Result<Self, LinkError> {
        // SAFETY: the caller vouches for the code.
        let component = unsafe { Component::deserialize(&engine.wasmtime, code) }
            .map_err(|error| LinkError::DoesNotFit(format!("{error:#}")))?;
        let pre = imports::link(&engine.wasmtime)
            .and_then(|linker| linker.instantiate_pre(&component))
            .and_then(CapsulePre::new)
            .map_err(|error| LinkError::NotACapsule(format!("{error:#}")))?;
        Ok(Self {
            digest,
            code_bytes: code.len(),
            pre,
        })
    }

    /// The digest of the component file.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Runs one call in a fresh instance.
    pub async fn call(&self, call: Call) -> Outcome {
        invocation::run(&self.pre, call).await
    }

    /// Bytes of native code, which is nearly all that a capsule takes.
    pub(crate) fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    pub(crate) fn pre(&self) -> &CapsulePre<InvocationState> {
        &self.pre
    }
}
