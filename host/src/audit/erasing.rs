//! Tenants on their way out: noted in the log's folder from before the database forgets them until their
//! records are erased, so that the next host goes on with it where one ends in between.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use soma_registry::owner_only;

/// In the log's folder; a note has the tenant's name, and nothing in it.
const FOLDER: &str = "erasing";

pub(crate) struct Erasing {
    folder: PathBuf,
    /// Those that were noted by a host before this one.
    found: Vec<String>,
}

impl Erasing {
    pub(super) fn open(log: &Path) -> anyhow::Result<Self> {
        let folder = log.join(FOLDER);
        owner_only::folder(&folder)?;
        let mut found = Vec::new();
        for note in fs::read_dir(&folder)? {
            let name = note?.file_name().to_string_lossy().into_owned();
            // One with a dot was never noted to its end.
            found.extend(Some(name).filter(|name| !name.starts_with('.')));
        }
        Ok(Self { folder, found })
    }

    /// Notes one that the database is about to forget.
    pub(crate) fn begin(&self, tenant: &str) -> io::Result<()> {
        owner_only::replace(&self.folder.join(tenant), b"")
    }

    /// Takes a note away: the records are gone, or the tenant is not.
    pub(crate) fn end(&self, tenant: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(tenant))
    }

    /// Those that a host before this one did not come to the end of.
    pub(super) fn left(&self) -> impl Iterator<Item = &str> {
        let found = self.found.iter().map(String::as_str);
        found.filter(|tenant| self.folder.join(tenant).exists())
    }
}
