//! From a digest to a capsule that can be called: memory, then the code cache, then the compiler.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use moka::future::Cache;
use soma_capability::Digest;
use tokio::task::spawn_blocking;

use crate::capsule::{Capsule, LinkError};
use crate::code_cache::{CacheError, CodeCache};
use crate::compile::{CompileError, Compiler};
use crate::engine::Engine;

/// Bytes of native code kept in memory. The least used goes first, and comes back from the code
/// cache. A capsule in Rust has one or two MiB of it, Python's interpreter a hundred.
const IN_MEMORY: u64 = 1 << 30;

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
    /// A bug in the host.
    #[error("loading the component panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Loads capsules, each once however many ask for it.
pub struct Loader {
    engine: Engine,
    compiler: Compiler,
    code: Arc<CodeCache>,
    capsules: Cache<Digest, Arc<Capsule>>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Loader {
    /// A loader whose code cache is in `folder`; see [`CacheError`] for what it refuses.
    pub fn new(engine: Engine, folder: &Path, compiler: Compiler) -> Result<Self, CacheError> {
        let code = CodeCache::open(folder, engine.compatibility())?;
        let weight = |_: &Digest, capsule: &Arc<Capsule>| {
            capsule.code_bytes().try_into().unwrap_or(u32::MAX)
        };
        Ok(Self {
            engine,
            compiler,
            code: Arc::new(code),
            capsules: Cache::builder()
                .weigher(weight)
                .max_capacity(IN_MEMORY)
                .build(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// The capsule of this digest. `component` reads the file; it is called only where the code
    /// cache has nothing, where it may block, and what it gives is checked against the digest.
    pub async fn load(
        &self,
        digest: &Digest,
        component: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Arc<Capsule>, Arc<LoadError>> {
        if let Some(capsule) = self.capsules.get(digest).await {
            return Ok(capsule);
        }
        self.capsules
            .try_get_with(*digest, self.load_code(*digest, component))
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

    /// Files of many megabytes are read, hashed and made executable here: away from the threads
    /// that serve.
    async fn load_code(
        &self,
        digest: Digest,
        component: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Arc<Capsule>, LoadError> {
        let (engine, cache) = (self.engine.clone(), self.code.clone());
        let kept = spawn_blocking(move || {
            // Code that the cache vouches for and that still does not load was made by a wasmtime
            // that differs in a way its hash does not show: make it again.
            let code = cache.get(&digest)?;
            link(&engine, digest, &code).ok()
        });
        if let Some(capsule) = kept.await? {
            self.hits.fetch_add(1, Relaxed);
            return Ok(Arc::new(capsule));
        }
        self.misses.fetch_add(1, Relaxed);
        let component = spawn_blocking(move || {
            let component = component()?;
            let found = Digest::of(&component);
            if found == digest {
                return Ok(component);
            }
            let expected = digest;
            Err(LoadError::Changed { expected, found })
        });
        let code = self.compiler.compile(&component.await??).await?;

        let (engine, cache) = (self.engine.clone(), self.code.clone());
        let made = spawn_blocking(move || {
            let capsule = link(&engine, digest, &code)?;
            if let Err(error) = cache.put(&digest, &code) {
                // The capsule runs all the same; the next start compiles again.
                tracing::warn!(%digest, %error, "compiled code could not be kept");
            }
            Ok(Arc::new(capsule))
        });
        made.await?
    }
}

#[expect(unsafe_code, reason = "see Capsule::link")]
fn link(engine: &Engine, digest: Digest, code: &[u8]) -> Result<Capsule, LinkError> {
    // SAFETY: the code comes from this host's compiler, straight or through the code cache,
    // which has checked its MAC on these very bytes.
    unsafe { Capsule::link(engine, digest, code) }
}
