//! From an archive to a host that can be started.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use jiff::Timestamp;
use serde::Serialize;
use soma_registry::{MARKETPLACES_FILE, Marketplaces, owner_only};
use sqlx::AnyPool;
use uuid::Uuid;

use super::contents::{Contents, of_table};
use super::incoming::Incoming;
use super::load::Loaded;
use super::stop::Stop;
use super::{close, connected, load, unpack};
use crate::app::{LOCK, claim, is_in_use};
use crate::catalog::hex_of;
use crate::db::secrets::Sealed;
use crate::restored::Marker;
use crate::secrets::Sealer;
use crate::settings::{DATABASE, Settings, sqlite_url};
use crate::{audit, db};

/// Where everything lies in the data folder until all of it is there. A host does not start beside it.
pub(crate) const UNFINISHED: &str = "restoring";
const STOPPED: &str = "nothing was restored";

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct PutBack {
    /// The moment that the host goes on from.
    pub taken_at: Timestamp,
    /// Rows of the database.
    pub rows: u64,
    /// Files of capsules.
    pub capsules: usize,
    /// Records of the audit log.
    pub records: u64,
}

/// A data folder that nobody else has, to be filled.
struct Target {
    data: PathBuf,
    unfinished: PathBuf,
    was_there: bool,
    _lock: File,
}

/// Makes a host of an archive: in a data folder that is missing or empty, and a database without rows.
/// Where that fails, or is told to stop, neither has anything of it. From the moment that the rows are in
/// the database it heeds nobody: the rest is short, and half of it would be nothing.
pub async fn restore(
    settings: &Settings,
    archive: impl Read + Send + 'static,
    stop: &Stop,
) -> anyhow::Result<PutBack> {
    let target = Target::claim(&settings.data)?;
    let restored = target.fill(settings, archive, stop).await;
    if restored.is_err() {
        target.give_up()?;
    }
    restored
}

impl Target {
    fn claim(data: &Path) -> anyhow::Result<Self> {
        let was_there = data.exists();
        let unfinished = data.join(UNFINISHED);
        if was_there {
            // A restore that is under way has the lock too, and other words.
            ensure!(
                unfinished.exists() || !is_in_use(data)?,
                "a host is running on {}: stop it first, and restore into a folder that is empty or \
                 missing",
                data.display()
            );
            let held = held(data).with_context(|| data.display().to_string())?;
            ensure!(
                held.is_none(),
                "there is `{}` in {}: restore into a folder that is empty or missing",
                held.unwrap_or_default(),
                data.display()
            );
        }
        let lock = claim(data)?;
        owner_only::make_folder(&unfinished)?;
        Ok(Self {
            data: data.to_owned(),
            unfinished,
            was_there,
            _lock: lock,
        })
    }

    async fn fill(
        &self,
        settings: &Settings,
        archive: impl Read + Send + 'static,
        stop: &Stop,
    ) -> anyhow::Result<PutBack> {
        let archive = Incoming::new(archive, stop.clone());
        let unpacked = unpack::unpack(archive, &self.unfinished);
        // However the reading ended then, it is no fault of the archive.
        stop.check().context(STOPPED)?;
        let contents = unpacked?;
        ensure!(
            contents.schema <= db::newest_schema(),
            "the backup is of soma {}, whose tables this program does not know: restore it with that \
             one, or a newer one",
            contents.soma
        );
        self.check_secrets_key(settings)?;
        Marketplaces::read(&self.unfinished.join(MARKETPLACES_FILE))?;
        let records = audit::prove(&self.unfinished.join("audit")).context("the audit log")?;
        // Another one: the machine that the backup was taken on may be running still.
        let host = Uuid::now_v7().to_string();
        owner_only::create(&self.unfinished.join("host.id"), &format!("{host}\n"))?;
        Marker::new(contents.taken_at, &self.unfinished).write(&self.unfinished)?;
        let rows = self.restore_rows(settings, &contents, &host, stop).await?;
        let is_capsule = |name: &&String| hex_of(name).is_some();
        Ok(PutBack {
            taken_at: contents.taken_at,
            rows,
            capsules: contents.files.keys().filter(is_capsule).count(),
            records,
        })
    }

    /// Nobody can use credentials whose key is elsewhere, and a host would make another.
    fn check_secrets_key(&self, settings: &Settings) -> anyhow::Result<()> {
        let own = self.unfinished.join("secrets.key");
        let file = settings.secrets_key.as_ref().unwrap_or(&own);
        ensure!(
            file.exists(),
            "the key for credentials is not there: where the host had it elsewhere, say where with \
             --secrets-key"
        );
        let sealer = Sealer::open_file(file, false)?;
        let rows = self.unfinished.join(of_table("secrets"));
        let fits = fits(&sealer, &rows).context("the table `secrets`")?;
        ensure!(
            fits,
            "the secrets in this backup were sealed with another key: give the one that the \
             backed-up host used, with --secrets-key"
        );
        Ok(())
    }

    /// Fills the database and then the folder.
    async fn restore_rows(
        &self,
        settings: &Settings,
        contents: &Contents,
        host: &str,
        stop: &Stop,
    ) -> anyhow::Result<u64> {
        let own = settings.own_database().is_some();
        let url = if own {
            let file = self.unfinished.join(DATABASE);
            owner_only::narrow(&file)?;
            sqlite_url(&file)?
        } else {
            settings.database.clone()
        };
        let pool = stop.or(STOPPED, connected(&url)).await?;
        let load = async {
            let loaded = load::load(&pool, &self.unfinished, contents).await;
            loaded.context("the database")
        };
        let kept = match stop.or(STOPPED, load).await {
            Ok(loaded) => self.keep(&pool, own, loaded, contents, host).await,
            Err(error) => Err(error),
        };
        // Whoever gives up removes the folder, in which a database may still be open.
        close(&pool).await;
        kept
    }

    /// What comes of the rows is not known before the folder has its name, so they are taken away again
    /// where it gets none.
    async fn keep(
        &self,
        pool: &AnyPool,
        own: bool,
        loaded: Loaded,
        contents: &Contents,
        host: &str,
    ) -> anyhow::Result<u64> {
        let Loaded { transaction, rows } = loaded;
        transaction.commit().await.context("the database")?;
        if let Err(error) = self.finish(pool, own, host).await {
            if !own && let Err(left) = load::clear(pool, &contents.tables).await {
                return Err(error.context(format!("the rows stay in the database ({left})")));
            }
            return Err(error);
        }
        Ok(rows)
    }

    async fn finish(&self, pool: &AnyPool, own: bool, host: &str) -> anyhow::Result<()> {
        load::settle(pool, host).await.context("the database")?;
        if own {
            // What is beside the file is in it then.
            pool.close().await;
        }
        fs::remove_dir_all(self.unfinished.join("database"))?;
        let entries: io::Result<Vec<_>> = fs::read_dir(&self.unfinished)?.collect();
        for entry in entries? {
            fs::rename(entry.path(), self.data.join(entry.file_name()))?;
        }
        fs::remove_dir(&self.unfinished)?;
        Ok(File::open(&self.data)?.sync_all()?)
    }

    /// Leaves the folder as it was.
    fn give_up(&self) -> io::Result<()> {
        if !self.was_there {
            return fs::remove_dir_all(&self.data);
        }
        for entry in fs::read_dir(&self.data)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Whether a key opens a credential, of those that these rows have sealed. One that was damaged before
/// the backup says nothing of the others.
fn fits(sealer: &Sealer, rows: &Path) -> anyhow::Result<bool> {
    let mut is_any_sealed = false;
    for line in BufReader::new(File::open(rows)?).lines() {
        let row: Sealed = serde_json::from_str(&line?)?;
        if row.opens(sealer) {
            return Ok(true);
        }
        is_any_sealed |= row.is_any();
    }
    Ok(!is_any_sealed)
}

/// What a folder has already, but for what says that it is in use.
fn held(data: &Path) -> anyhow::Result<Option<String>> {
    for entry in fs::read_dir(data)? {
        let name = entry?.file_name();
        if name == UNFINISHED {
            bail!(
                "a restore into it is under way, or was cut off: then remove what is in it, and restore \
                 again"
            );
        }
        if name != LOCK {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
