//! Whether a file that came is the version that the log has.

use soma_registry::log::LogKey;
use soma_registry::{Bundle, BundleError, Check, Release};

use crate::catalog::Fresh;
use crate::distrust::Distrust;
use crate::error::Error;

/// A file that is the right one.
pub(super) struct Proven {
    pub(super) fresh: Fresh,
    pub(super) checks: Vec<Check>,
}

/// Has one of the bundles prove the file, and compares what it proves with what follows from the
/// log: `release`. Where none does, what is wrong with the first. Away from the threads that serve.
pub(super) async fn prove(
    fresh: Fresh,
    bundles: Vec<Bundle>,
    key: LogKey,
    release: Release,
) -> Result<Proven, Error> {
    let prove = move || {
        // The file first: it decides whatever the bundles say.
        if fresh.about.digest != release.digest {
            return Err(Distrust::Differs("digest").into());
        }
        let mut refusal = Error::from(Distrust::from(BundleError::NotLogged));
        for bundle in bundles.iter().rev() {
            match prove_with(bundle, &fresh, &key, &release) {
                Ok(checks) => return Ok(Proven { fresh, checks }),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    };
    tokio::task::spawn_blocking(prove).await?
}

fn prove_with(
    bundle: &Bundle,
    fresh: &Fresh,
    key: &LogKey,
    release: &Release,
) -> Result<Vec<Check>, Error> {
    let proven = bundle.prove(&fresh.package, key);
    let proven = proven.map_err(Distrust::from)?;
    if release.is_same(&proven.release) {
        Ok(proven.checks)
    } else {
        Err(Distrust::Differs("release").into())
    }
}
