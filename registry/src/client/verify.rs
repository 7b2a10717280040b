//! Everything that can be checked about a published version, its marketplace asked.

use semver::Version;
use soma_capability::CapsuleName;

use super::{ClientError, Marketplace};
use crate::bundle::{Bundle, BundleError, Check, Proven};
use crate::index::{Release, Standing};
use crate::package::{Package, PackageError};

/// A version that is what its author signed and the log has, and how it stands today.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The file.
    pub package: Package,
    /// Signature and proofs.
    pub bundle: Bundle,
    /// The version, as the whole log has it: its standing too.
    pub release: Release,
    /// Each check that was made, in order.
    pub checks: Vec<Check>,
}

/// Why a version is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be asked for, or the log is not sound.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file is no capsule.
    #[error("the file is no capsule: {0}")]
    Package(#[from] PackageError),
    /// The file is of another name or version.
    #[error("the file says to be {found}, not {wanted}")]
    Name {
        /// What it says.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Signature or proofs do not fit.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The proofs lead to a tree that is not this log's.
    #[error(
        "the log forked: the bundle's checkpoint, of {bundle} leaves, is not on the way to the \
         one of {now} leaves that the marketplace shows now; do not use it until you know why"
    )]
    Forked {
        /// Leaves in the bundle's checkpoint.
        bundle: u64,
        /// Leaves now.
        now: u64,
    },
    /// The whole log says something else than the leaves in the bundle.
    #[error("the log has {0} otherwise than its bundle: leaves about its owners were left out")]
    Differs(String),
}

impl Marketplace {
    /// Fetches a version with its proofs and checks all that can be checked; the whole log is read
    /// for that. One that was revoked passes: look at its standing.
    pub async fn verify(
        &self,
        capsule: &CapsuleName,
        version: &Version,
    ) -> Result<Verified, VerifyError> {
        let wanted = format!("{capsule} {version}");
        let package = Package::read(self.capsule(capsule, version).await?)?;
        let bundle = self.bundle(capsule, version).await?;
        let manifest = package.manifest();
        let found = format!("{} {}", manifest.name, manifest.version);
        if found != wanted {
            return Err(VerifyError::Name { found, wanted });
        }
        let Proven {
            release: proven,
            checkpoint,
            mut checks,
        } = bundle.prove(&package, self.key())?;
        let walk = self.walk().await?;
        let now = walk.checkpoint.size();
        if !walk.continues(&checkpoint) {
            let bundle = checkpoint.size();
            return Err(VerifyError::Forked { bundle, now });
        }
        checks.push(Check {
            what: "consistency",
            found: format!("the log of {now} leaves, read from the first, continues the bundle's"),
        });
        let release = walk.index.release(capsule, version).cloned();
        let release = release.filter(|release| release.is_same(&proven));
        let release = release.ok_or(VerifyError::Differs(wanted))?;
        checks.push(Check {
            what: "standing",
            found: release.standing.to_string(),
        });
        Ok(Verified {
            package,
            bundle,
            release,
            checks,
        })
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Current => f.write_str("current"),
            Self::Yanked => f.write_str("yanked"),
            Self::Revoked(revocation) => {
                let by = if revocation.marketplace {
                    "the marketplace"
                } else {
                    "an owner"
                };
                write!(f, "revoked by {by}: {}", revocation.reason)
            }
        }
    }
}
