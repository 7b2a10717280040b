//! Everything that a host keeps, in one tar file: [`backup`] reads it beside the running host, and
//! [`restore`] makes a data folder and a database of it again.
//!
//! Both are commands of a process of their own, so their files are read and written where they
//! are awaited; only a pipe, at whose other end may be nobody, has a thread. The rows come from one moment
//! of the database. What the folder has is read after that, so that the audit log knows of all that the
//! rows know of.

mod archive;
mod contents;
mod dump;
mod incoming;
mod load;
mod measured;
mod restore;
mod stop;
mod tables;
#[cfg(test)]
mod tests;
mod unpack;

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use jiff::Timestamp;
use serde::Serialize;
use soma_capability::Digest;
use soma_registry::MARKETPLACES_FILE;
use sqlx::AnyPool;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use self::archive::Archive;
use self::contents::{Contents, FORMAT};
use self::dump::Dumped;
pub(crate) use self::restore::UNFINISHED;
pub use self::restore::{PutBack, restore};
pub use self::stop::{Interrupted, Stop};
pub use self::unpack::NoBackup;
use crate::audit;
use crate::catalog::file_of;
use crate::db;
use crate::settings::Settings;

/// How often it is begun.
const TRIES: usize = 3;
/// Lines of the audit log that nobody waits for are on disk after a fifth of this.
const WRITTEN: Duration = Duration::from_millis(250);
/// How long a running host may take to sign what it has written: it does so once a second.
const SIGNED: Duration = Duration::from_secs(3);
/// How long the database is waited for to be closed.
const CLOSED: Duration = Duration::from_secs(2);
/// What is said of one that a signal ended.
const STOPPED: &str = "no backup was taken";
/// What is said of one that could not be handed over.
const UNREAD: &str = "the backup was not written to its end";

/// A backup that is whole and on disk, under no name yet: dropping it removes it.
pub struct Backup {
    file: NamedTempFile,
    /// What is in it.
    pub taken: Taken,
}

/// What is in a backup.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// The moment of the rows.
    pub taken_at: Timestamp,
    /// Tables of the database.
    pub tables: usize,
    /// Rows in them.
    pub rows: u64,
    /// Files of capsules.
    pub capsules: usize,
    /// Records of the audit log.
    pub records: u64,
    /// Of the whole archive.
    pub bytes: u64,
    /// Whether the key for credentials is in it, and not kept elsewhere.
    pub has_secrets_key: bool,
}

impl Backup {
    /// Gives it its name. Refuses to take another file's.
    pub fn keep(self, path: &Path) -> anyhow::Result<()> {
        let kept = self.file.persist_noclobber(path);
        kept.with_context(|| path.display().to_string())?;
        Ok(File::open(folder_of(path))?.sync_all()?)
    }

    /// Writes all of it elsewhere, on a thread that is left where it is once this is told to stop: nobody
    /// may ever read what it writes. So its file has no name by then.
    pub async fn copy_to(
        self,
        mut out: impl Write + Send + 'static,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let mut file = self.file.into_file();
        let (done, copied) = oneshot::channel();
        thread::spawn(move || {
            let mut copy = || -> io::Result<()> {
                file.rewind()?;
                io::copy(&mut file, &mut out)?;
                out.flush()
            };
            // Nobody listens who was told to stop.
            let _ = done.send(copy());
        });
        stop.or(UNREAD, async { copied.await?.context(UNREAD) })
            .await
    }
}

/// The folder that a file is to be in.
fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Takes a backup of the host of these settings, whether it runs or not. Until it is whole it lies
/// beside the file that it is to be kept as, or among the system's temporary files. Nothing of it is there
/// where this fails, or is told to stop.
pub async fn backup(
    settings: &Settings,
    kept_as: Option<&Path>,
    stop: &Stop,
) -> anyhow::Result<Backup> {
    if let Some(path) = kept_as {
        ensure!(!path.exists(), "{} is there already", path.display());
    }
    let own = settings.own_database();
    // To connect to a file that is missing would make one.
    if !settings.data.join("audit/key").exists() || own.is_some_and(|file| !file.exists()) {
        bail!(
            "no host has run on the data folder {}",
            settings.data.display()
        );
    }
    let pool = stop.or(STOPPED, connected(&settings.database)).await?;
    let backup = stop
        .or(STOPPED, take_whole(settings, &pool, kept_as, stop))
        .await;
    close(&pool).await;
    backup
}

async fn connected(database: &str) -> anyhow::Result<AnyPool> {
    db::connect(database).await.context("the database")
}

/// Lets go of the database, for SQLite to take away what it has beside its file. One that does not answer
/// ends with the process.
async fn close(pool: &AnyPool) {
    let _ = tokio::time::timeout(CLOSED, pool.close()).await;
}

/// Begins it anew where a capsule's file goes away meanwhile.
async fn take_whole(
    settings: &Settings,
    pool: &AnyPool,
    kept_as: Option<&Path>,
    stop: &Stop,
) -> anyhow::Result<Backup> {
    let folder = kept_as.map_or_else(env::temp_dir, |path| folder_of(path).to_owned());
    for _ in 0..TRIES {
        let file = NamedTempFile::new_in(&folder).map_err(|error| {
            let instead = match kept_as {
                Some(_) => "name one in a folder that is there and can be written",
                None => "set TMPDIR to a folder that is there and can be written",
            };
            // Its own words name a file that nobody has heard of.
            let (folder, why) = (folder.display(), error.kind());
            anyhow!("no file can be made in {folder}, {why}: {instead}")
        })?;
        let archive = Archive::new(file.as_file().try_clone()?, stop.clone());
        if let Some(taken) = take(settings, pool, archive).await? {
            return Ok(Backup { file, taken });
        }
    }
    bail!("capsules were uninstalled each of {TRIES} times that the backup was begun: try it again")
}

/// None where a file of a capsule went away after the rows were read.
async fn take(
    settings: &Settings,
    pool: &AnyPool,
    mut archive: Archive,
) -> anyhow::Result<Option<Taken>> {
    let taken_at = Timestamp::now();
    let dumped = dump::dump(pool, &mut archive)
        .await
        .context("the database")?;
    if !capsules(&settings.data, &dumped.capsules, &mut archive)? {
        return Ok(None);
    }
    let audit = settings.data.join("audit");
    signed(&audit).await.context("the audit log")?;
    // Restoring proves it too, when it is late.
    audit::prove(&audit).context("it could not be restored, for the audit log")?;
    let records = records(&audit, &mut archive).context("the audit log")?;
    let Dumped { schema, rows, .. } = dumped;
    for name in ["keys/admin.key", "keys/invoke.key", MARKETPLACES_FILE] {
        optional(&settings.data, name, &mut archive)?;
    }
    let has_secrets_key = match &settings.secrets_key {
        Some(_) => false,
        None => optional(&settings.data, "secrets.key", &mut archive)?,
    };
    let contents = Contents {
        format: FORMAT,
        soma: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        taken_at,
        tables: tables::TABLES.map(str::to_owned).into(),
        files: archive.files().clone(),
    };
    Ok(Some(Taken {
        taken_at,
        tables: contents.tables.len(),
        rows,
        capsules: dumped.capsules.len(),
        records,
        bytes: archive.finish(&contents)?,
        has_secrets_key,
    }))
}

/// False where one is gone.
fn capsules(
    data: &Path,
    digests: &BTreeSet<Digest>,
    archive: &mut Archive,
) -> anyhow::Result<bool> {
    for digest in digests {
        let name = file_of(digest);
        let Some(file) = opened(&data.join(&name))? else {
            return Ok(false);
        };
        let bytes = file.metadata()?.len();
        let about = archive.copy(&name, file, bytes)?;
        ensure!(
            about.sha256 == digest.hex(),
            "{name} is damaged: install it again"
        );
    }
    Ok(true)
}

/// Waits until the log has all that the rows know of, under a signature. A host that was killed signs
/// nothing more: what it wrote last is taken as it is.
async fn signed(folder: &Path) -> anyhow::Result<()> {
    tokio::time::sleep(WRITTEN).await;
    let written = audit::written(folder)?;
    let end = Instant::now() + SIGNED;
    while audit::signed(folder)? < written && Instant::now() < end {
        tokio::time::sleep(WRITTEN / 5).await;
    }
    Ok(())
}

/// The key, the signed head, and then the lines, which are at least those that the head is of. Of the
/// last file what is written to its end. Gives how many records there are.
fn records(folder: &Path, archive: &mut Archive) -> anyhow::Result<u64> {
    for name in ["head.json", "key"] {
        let bytes = fs::read(folder.join(name)).with_context(|| name.to_owned())?;
        archive.copy(&format!("audit/{name}"), &*bytes, bytes.len() as u64)?;
    }
    let mut records = 0;
    for path in audit::files(&folder.join("records"))? {
        let mut file = File::open(&path)?;
        let (bytes, lines) = audit::whole_lines(&mut file)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        archive.copy(&format!("audit/records/{name}"), file, bytes)?;
        records += lines;
    }
    Ok(records)
}

/// False where the host has no such file.
fn optional(data: &Path, name: &str, archive: &mut Archive) -> anyhow::Result<bool> {
    let path = data.join(name);
    let read = opened(&path).with_context(|| path.display().to_string())?;
    let Some(mut file) = read else {
        return Ok(false);
    };
    // Small, and replaced as a whole: what is open stays as it is.
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    archive.copy(name, &*bytes, bytes.len() as u64)?;
    Ok(true)
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
