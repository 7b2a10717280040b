//! What a tenant has under one name: the file that serves, and those that are set aside.

use std::collections::BTreeSet;
use std::sync::Arc;

use semver::Version;
use soma_capability::{CapsuleName, Digest};

use super::{Catalog, Installed, Quota};
use crate::db::aside::{self, Aside, Standing};
use crate::db::capsules;
use crate::error::Error;

/// Everything of one name.
pub(crate) struct Shelf {
    pub(crate) serving: Arc<Installed>,
    /// The update that waits for somebody's word.
    pub(crate) held: Option<Aside>,
    /// What served before.
    pub(crate) previous: Option<Aside>,
    /// The version that an administrator went back from.
    pub(crate) rolled_back: Option<Version>,
}

/// An administrator's word: that a file which is set aside is to serve.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word {
    /// The update that is held.
    Approve,
    /// What served before.
    RollBack,
}

impl Shelf {
    /// Of all its files.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        let aside = self.held.iter().chain(&self.previous);
        let aside = aside.map(|aside| aside.row.digest);
        aside.chain([self.serving.row.digest]).collect()
    }

    /// The file that a word is given on, which must be this one: the one that was looked at.
    pub(crate) fn meant(&self, word: Word, digest: &Digest) -> Result<&Aside, Error> {
        let name = &self.serving.row.name;
        let (found, none) = match word {
            Word::Approve => (&self.held, "no update of it is held"),
            Word::RollBack => (&self.previous, "nothing that served before is kept of it"),
        };
        let found = found.as_ref();
        let found = found.ok_or_else(|| Error::UnknownUpdate(name.clone(), none))?;
        if found.row.digest == *digest {
            return Ok(found);
        }
        Err(Error::Conflict(format!(
            "it is {} of {name} now, {}: look at it first",
            found.version, found.row.digest
        )))
    }
}

impl Catalog {
    /// What a tenant has under a name; none where nothing is installed. For whoever holds
    /// [`Catalog::steady`], or is changing it.
    pub(crate) async fn shelf(
        &self,
        tenant: &str,
        name: &CapsuleName,
    ) -> Result<Option<Shelf>, Error> {
        let Some(row) = capsules::get(&self.pool, tenant, name).await? else {
            return Ok(None);
        };
        let about = self.describe(&row.digest).await?;
        let mut shelf = Shelf {
            serving: Arc::new(Installed { row, about }),
            held: None,
            previous: None,
            rolled_back: capsules::rolled_back(&self.pool, tenant, name).await?,
        };
        for aside in aside::list(&self.pool, tenant).await? {
            if aside.row.name == *name {
                match aside.standing {
                    Standing::Held => shelf.held = Some(aside),
                    Standing::Previous => shelf.previous = Some(aside),
                }
            }
        }
        Ok(Some(shelf))
    }

    /// The same, where something must be installed.
    pub(crate) async fn expect_shelf(
        &self,
        tenant: &str,
        name: &CapsuleName,
    ) -> Result<Shelf, Error> {
        let shelf = self.shelf(tenant, name).await?;
        shelf.ok_or_else(|| Error::UnknownCapsule(name.clone()))
    }

    /// A file that is set aside, with what it says about itself.
    pub(crate) async fn describe_aside(&self, aside: &Aside) -> Result<Installed, Error> {
        Ok(Installed {
            row: aside.row.clone(),
            about: self.describe(&aside.row.digest).await?,
        })
    }

    /// Refuses one more file of this size where that would be more than the tenant may have; the
    /// file in whose place it comes does not count.
    pub(super) async fn has_room(
        &self,
        tenant: &str,
        name: &CapsuleName,
        size: u64,
        instead: Option<Digest>,
        quota: Quota,
    ) -> Result<(), Error> {
        let rows = capsules::list(&self.pool, tenant).await?;
        let others = rows.iter().filter(|row| row.name != *name).count();
        let aside = aside::list(&self.pool, tenant).await?;
        let kept = rows.iter().chain(aside.iter().map(|aside| &aside.row));
        let kept = kept.filter(|row| row.name != *name || Some(row.digest) != instead);
        let kept: u64 = kept.map(|row| row.size.unsigned_abs()).sum();
        let (number, size) = (others as u64 + 1, kept + size);
        let Quota {
            capsules,
            bytes: most,
        } = quota;
        if number > u64::from(capsules) || size > most {
            return Err(Error::Conflict(format!(
                "the tenant may have {capsules} capsules of {most} bytes together, and this would \
                 make it {number} of {size}: uninstall some, or have the operator raise \
                 tenant-capsules or tenant-mib"
            )));
        }
        Ok(())
    }
}
