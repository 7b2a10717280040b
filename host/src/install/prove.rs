//! Whether a file that came is the version that the log has.

use soma_registry::log::LogKey;
use soma_registry::{Bundle, Check, Release};

use crate::catalog::Fresh;
use crate::distrust::Distrust;
use crate::error::Error;

/// A file that is the right one.
pub(super) struct Proven {
    pub(super) fresh: Fresh,
    pub(super) checks: Vec<Check>,
}

/// Has the bundle prove the file, and compares what it proves with what follows from the log:
/// `release`. Away from the threads that serve.
pub(super) async fn prove(
    fresh: Fresh,
    bundle: Bundle,
    key: LogKey,
    release: Release,
) -> Result<Proven, Error> {
    let prove = move || {
        // The file first: it decides whatever the bundle says.
        if fresh.about.digest != release.digest {
            return Err(Error::from(Distrust::Differs("digest")));
        }
        let proven = bundle.prove(&fresh.package, &key).map_err(Distrust::from)?;
        // A bundle knows nothing of what became of the version later.
        let same = Release {
            standing: release.standing.clone(),
            ..proven.release
        };
        if same != release {
            return Err(Distrust::Differs("release").into());
        }
        Ok(Proven {
            fresh,
            checks: proven.checks,
        })
    };
    let proven = tokio::task::spawn_blocking(prove).await;
    proven.map_err(|panic| Error::Panicked(panic.to_string()))?
}
