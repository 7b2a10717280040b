//! From a digest to a capsule that can be called: memory, then the code cache, then the compiler.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use moka::future::Cache;
use soma_capability::Digest;

use crate::capsule::{Capsule, LinkError};
use crate::code_cache::{CacheError, CodeCache};
use crate::compile::{CompileError, Compiler};
use crate::engine::Engine;

/// Capsules kept in memory. The least used goes first, and comes back from the code cache.
const IN_MEMORY: u64 = 256;

/// Why a capsule cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component file cannot be read.
    #[error("the component cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The bytes are not the ones that the digest names.
    #[error("the component has changed on disk: its digest is {found}, not {expected}")]
    Changed {
        /// The digest asked for.
        expected: Digest,
        /// The digest of what was read.
        found: Digest,
    },
    /// See [`CompileError`].
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// See [`LinkError`].
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Loads capsules, each once however many ask for it.
pub struct Loader {
    engine: Engine,
    compiler: Compiler,
    code: CodeCache,
    capsules: Cache<Digest, Arc<Capsule>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Loader {
    /// A loader whose code cache is in `folder`; see [`CacheError`] for what it refuses.
    pub fn new(engine: Engine, folder: &Path, compiler: Compiler) -> Result<Self, CacheError> {
        let code = CodeCache::open(folder, engine.compatibility())?;
        Ok(Self {
            engine,
            compiler,
            code,
            capsules: Cache::new(IN_MEMORY),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The capsule of this digest. `component` reads the file; it is called only where the code
    /// cache has nothing, and what it gives is checked against the digest.
    pub async fn load(
        &self,
        digest: &Digest,
        component: impl FnOnce() -> io::Result<Vec<u8>> + Send,
    ) -> Result<Arc<Capsule>, Arc<LoadError>> {
        if let Some(capsule) = self.capsules.get(digest).await {
            return Ok(capsule);
        }
        self.capsules
            .try_get_with(*digest, self.load_code(digest, component))
            .await
    }

    /// Drops a capsule that is no longer installed, from memory and from disk.
    pub async fn forget(&self, digest: &Digest) -> io::Result<()> {
        self.capsules.invalidate(digest).await;
        self.code.remove(digest)
    }

    /// How often the code cache on disk had the code, and how often it had to be compiled.
    pub fn cache_hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Relaxed), self.misses.load(Relaxed))
    }

    async fn load_code(
        &self,
        digest: &Digest,
        component: impl FnOnce() -> io::Result<Vec<u8>> + Send,
    ) -> Result<Arc<Capsule>, LoadError> {
        if let Some(code) = self.code.get(digest) {
            // Code that the cache vouches for and that still does not load was made by a wasmtime
            // that differs in a way its hash does not show: make it again.
            if let Ok(capsule) = self.link(digest, &code) {
                self.hits.fetch_add(1, Relaxed);
                return Ok(Arc::new(capsule));
            }
        }
        self.misses.fetch_add(1, Relaxed);
        let component = component()?;
        let found = Digest::of(&component);
        if found != *digest {
            return Err(LoadError::Changed {
                expected: *digest,
                found,
            });
        }
        let code = self.compiler.compile(&component).await?;
        let capsule = self.link(digest, &code)?;
        if let Err(error) = self.code.put(digest, &code) {
            // The capsule runs all the same; the next start compiles again.
            tracing::warn!(%digest, %error, "compiled code could not be kept");
        }
        Ok(Arc::new(capsule))
    }

    #[expect(unsafe_code, reason = "see Capsule::link")]
    fn link(&self, digest: &Digest, code: &[u8]) -> Result<Capsule, LinkError> {
        // SAFETY: the code comes from this host's compiler, straight or through the code cache,
        // which has checked its MAC on these very bytes.
        unsafe { Capsule::link(&self.engine, *digest, code) }
    }
}
