//! Changing what is installed: a file comes, waits or serves, gives way, and goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use soma_capability::{CapsuleName, Digest};
use soma_runtime::Capsule;
use sqlx::AnyConnection;

use super::{
    Arriving, Catalog, Change, Described, Done, Fresh, Installed, Proof, Shelf, Word, refusal,
};
use crate::consent::{self, Reason};
use crate::db::aside::{self, Aside, Standing};
use crate::db::capsules;
use crate::error::Error;
use crate::settings::Live;

impl Catalog {
    /// Installs a capsule file, where the tenant has room for it. It is compiled first, so that
    /// the first call is warm, and a component that does not compile, link or fit the pool is
    /// refused with the reason. Where another file of the name serves, it may have to wait for an
    /// administrator's word. To be finished once begun.
    pub(crate) async fn install(
        &self,
        tenant: &str,
        Fresh { package, about }: Fresh,
        proof: Option<Proof>,
        live: &Live,
    ) -> Result<Done, Error> {
        let bytes: Arc<[u8]> = package.into_bytes().into();
        let begin = Instant::now();
        let code = self.compiled(&about.digest, bytes.clone()).await?;
        let compiled = begin.elapsed();
        // Set once, here; nobody else has this description yet.
        let about = Arc::new(Described {
            code: code.into(),
            ..about
        });

        let _exclusive = self.changes.write().await;
        // First: where the same file is only missing on disk, this is what brings it back.
        self.described.insert(about.digest, about.clone()).await;
        let shelf = self.shelf(tenant, &about.manifest.name).await?;
        let arriving = arriving(about, &bytes, proof, shelf.as_ref(), live);
        let Arriving { about, row, .. } = &arriving;
        let mut digests = shelf.as_ref().map(Shelf::digests).unwrap_or_default();
        digests.insert(row.digest);
        let keep = async {
            let (size, instead) = (bytes.len() as u64, arriving.instead);
            self.has_room(tenant, &row.name, size, instead, live.quota)
                .await?;
            self.blobs.write(&row.digest, bytes).await?;
            arriving.keep(&self.pool, tenant, shelf.as_ref()).await
        };
        self.settling(&digests, keep).await?;
        Ok(Done {
            installed: match arriving.change {
                Change::Held => Arc::new(Installed {
                    row: row.clone(),
                    about: about.clone(),
                }),
                _ => self.find(tenant, &row.name).await?,
            },
            change: arriving.change,
            reasons: arriving.reasons,
            compiled,
        })
    }

    async fn compiled(&self, digest: &Digest, bytes: Arc<[u8]>) -> Result<Arc<Capsule>, Error> {
        let turn = self.loads.acquire().await;
        let _turn = turn.map_err(|_| Error::NotReady("the host is stopping"))?;
        let code = self.loader.load(digest, move || Ok(bytes.to_vec()));
        code.await.map_err(refusal)
    }

    /// Has a file serve that was set aside, which must be this one. To be finished once begun.
    pub(crate) async fn give(
        &self,
        tenant: &str,
        name: &CapsuleName,
        word: Word,
        digest: &Digest,
    ) -> Result<Arc<Installed>, Error> {
        let _exclusive = self.changes.write().await;
        let shelf = self.expect_shelf(tenant, name).await?;
        let meant = shelf.meant(word, digest)?;
        let give = async {
            let mut transaction = self.pool.begin().await?;
            match word {
                Word::Approve => approve(&mut transaction, tenant, &shelf, meant).await?,
                Word::RollBack => roll_back(&mut transaction, tenant, &shelf, meant).await?,
            }
            Ok(transaction.commit().await?)
        };
        self.settling(&shelf.digests(), give).await?;
        self.find(tenant, name).await
    }

    /// Uninstalls, and removes the files that nobody else has installed. To be finished once begun.
    pub(crate) async fn uninstall(&self, tenant: &str, name: &CapsuleName) -> Result<(), Error> {
        let _exclusive = self.changes.write().await;
        let row = capsules::get(&self.pool, tenant, name).await?;
        let row = row.ok_or_else(|| Error::UnknownCapsule(name.clone()))?;
        let mut digests = BTreeSet::from([row.digest]);
        let aside = aside::list(&self.pool, tenant).await?.into_iter();
        let aside = aside.filter(|aside| aside.row.name == *name);
        digests.extend(aside.map(|aside| aside.row.digest));
        let delete = async { Ok(capsules::delete(&self.pool, tenant, name).await?) };
        self.settling(&digests, delete).await?;
        self.forget_metrics(name).await
    }

    /// Deletes a tenant by `delete`, and then the files that only it had installed.
    pub(crate) async fn delete_tenant(
        &self,
        tenant: &str,
        delete: impl Future<Output = sqlx::Result<bool>>,
    ) -> Result<bool, Error> {
        let _exclusive = self.changes.write().await;
        let rows = capsules::list(&self.pool, tenant).await?;
        let aside = aside::list(&self.pool, tenant).await?.into_iter();
        let aside = aside.map(|aside| aside.row.digest);
        let digests = rows.iter().map(|row| row.digest).chain(aside).collect();
        let delete = async { Ok(delete.await?) };
        let deleted = self.settling(&digests, delete).await?;
        for row in rows {
            self.forget_metrics(&row.name).await?;
        }
        Ok(deleted)
    }

    /// Makes a change that may leave any of these files without a row, or bring it one; whichever
    /// has none then goes.
    async fn settling<T>(
        &self,
        digests: &BTreeSet<Digest>,
        change: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        for digest in digests {
            self.blobs.unsettle(digest).await?;
        }
        let changed = change.await;
        self.installed.forget();
        for digest in digests {
            self.release(digest).await?;
        }
        changed
    }
}

/// What becomes of a file that comes.
fn arriving(
    about: Arc<Described>,
    bytes: &[u8],
    proof: Option<Proof>,
    shelf: Option<&Shelf>,
    live: &Live,
) -> Arriving {
    let mut row = about.row(bytes, proof.as_ref().map(|proof| proof.logged.clone()));
    let mut reasons = Vec::new();
    let of = |aside: &Option<Aside>| aside.as_ref().map(|aside| aside.row.digest);
    let (change, instead) = match shelf {
        None => (Change::Created, None),
        Some(shelf) if shelf.serving.row.digest == row.digest => {
            let before = &shelf.serving.row;
            row.installed_at = before.installed_at;
            // Nobody has given a word on owners who came since.
            if let (Some(new), Some(old)) = (&mut row.logged, &before.logged)
                && new.log == old.log
            {
                new.owners_since = old.owners_since;
            }
            (Change::Unchanged, Some(row.digest))
        }
        Some(shelf) => {
            reasons = consent::reasons(shelf, &about, proof.as_ref(), live);
            if reasons.is_empty() {
                (Change::Replaced, of(&shelf.previous))
            } else {
                (Change::Held, of(&shelf.held))
            }
        }
    };
    Arriving {
        about,
        row,
        proof,
        change,
        reasons,
        instead,
    }
}

/// Puts a file in the place of the one that serves, which is kept for going back.
pub(super) async fn succeed(
    connection: &mut AnyConnection,
    tenant: &str,
    new: &Aside,
    serving: &Installed,
) -> sqlx::Result<()> {
    capsules::put(connection, tenant, &new.row, &new.version).await?;
    aside::put(connection, tenant, &previous_of(serving)).await
}

async fn approve(
    connection: &mut AnyConnection,
    tenant: &str,
    shelf: &Shelf,
    held: &Aside,
) -> sqlx::Result<()> {
    let name = &held.row.name;
    succeed(connection, tenant, held, &shelf.serving).await?;
    aside::delete(connection, tenant, name, Standing::Held).await?;
    if shelf.rolled_back.as_ref() <= Some(&held.version) {
        capsules::set_rolled_back(connection, tenant, name, None).await?;
    }
    Ok(())
}

/// What serves is held from now on.
async fn roll_back(
    connection: &mut AnyConnection,
    tenant: &str,
    shelf: &Shelf,
    previous: &Aside,
) -> sqlx::Result<()> {
    let name = &previous.row.name;
    capsules::put(connection, tenant, &previous.row, &previous.version).await?;
    let held = Aside {
        standing: Standing::Held,
        reasons: vec![Reason::RolledBack],
        ..previous_of(&shelf.serving)
    };
    aside::put(connection, tenant, &held).await?;
    aside::delete(connection, tenant, name, Standing::Previous).await?;
    let gone_back_from = shelf.rolled_back.as_ref().max(Some(&held.version));
    capsules::set_rolled_back(connection, tenant, name, gone_back_from).await
}

fn previous_of(serving: &Installed) -> Aside {
    Aside {
        standing: Standing::Previous,
        row: serving.row.clone(),
        version: serving.about.manifest.version.clone(),
        reasons: Vec::new(),
    }
}
