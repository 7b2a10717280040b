//! Files where the host runs, as orchestrators mount them: DIR, the tenant, the name.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::{Keeper, KeeperError, MOST_BYTES, Read, Source, value};

pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

#[async_trait]
impl Keeper for Files {
    /// Neither a tenant's name nor a credential's has a `/` or a `.` in it.
    async fn read(&self, tenant: &str, source: &Source) -> Result<Read, KeeperError> {
        let Source::File { name } = source else {
            return Err(KeeperError::Name(format!("{source} is no file")));
        };
        let own = self.folder.join(tenant);
        let what = format!("file {tenant}/{name}");
        Ok(Read {
            value: read_file(what, own.join(name.to_string()), Some(own)).await?,
            user: None,
            good_for: Duration::ZERO,
        })
    }
}

/// The value in a file, which may be on a disk that does not answer; where it must be in a folder, a
/// link does not lead out of that. Orchestrators mount links within one.
pub(super) async fn read_file(
    what: String,
    path: PathBuf,
    within: Option<PathBuf>,
) -> Result<SecretString, KeeperError> {
    let read = tokio::task::spawn_blocking(move || match read_within(&path, within.as_deref()) {
        Ok(bytes) => value(|| what, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KeeperError::Missing(what)),
        Err(error) => Err(KeeperError::Unreadable(what, error.kind().to_string())),
    });
    read.await
        .unwrap_or_else(|panic| Err(KeeperError::Name(panic.to_string())))
}

fn read_within(path: &Path, within: Option<&Path>) -> io::Result<Zeroizing<Vec<u8>>> {
    let Some(within) = within else {
        return read_bounded(path);
    };
    let path = fs::canonicalize(path)?;
    if !path.starts_with(fs::canonicalize(within)?) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    read_bounded(&path)
}

/// Up to a byte more than a value has. The buffer does not grow: nothing is left behind unwiped.
fn read_bounded(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe would keep whoever opens it waiting.
    if !fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES + 64));
    let most = MOST_BYTES as u64 + 1;
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
