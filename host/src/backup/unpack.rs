//! An archive that may be torn, damaged, or made by somebody who means harm, on its way to disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use soma_registry::owner_only;
use tar::{Archive, Entry, EntryType};

use super::contents::{About, CONTENTS, Contents, is_known, of_table};
use super::measured::Measured;
use crate::catalog::hex_of;

/// What was given is nothing that a backup could have become.
#[derive(Debug, thiserror::Error)]
#[error("it is no archive that `soma backup` made")]
pub struct NoBackup;

/// Writes the files into a folder, each its owner's alone, and checks that they are exactly those that
/// the archive's end names.
pub(super) fn unpack(archive: impl Read, folder: &Path) -> anyhow::Result<Contents> {
    let mut files = BTreeMap::new();
    let mut contents = None;
    let mut archive = Archive::new(archive);
    for entry in archive.entries().context(DAMAGED)? {
        let mut entry = match entry {
            // Where not even the beginning is one; that a disk fails says nothing of what is on it.
            Err(error) if files.is_empty() && error.raw_os_error().is_none() => {
                return Err(NoBackup.into());
            }
            entry => entry.context(DAMAGED)?,
        };
        let name = name(&entry)?;
        let shown = shown(&name);
        ensure!(contents.is_none(), "`{shown}` comes after the backup's end");
        if name == CONTENTS {
            contents = Some(Contents::read(&mut entry)?);
            continue;
        }
        ensure!(is_known(&name), "`{shown}` is nothing that a host keeps");
        ensure!(!files.contains_key(&name), "`{name}` is in it twice");
        let about = write(&mut entry, &folder.join(&name)).with_context(|| name.clone())?;
        files.insert(name, about);
    }
    ensure!(
        is_zeros(archive.into_inner()).context(DAMAGED)?,
        "there is something after the archive's end, where a tar file has zeros: it is not what \
         `soma backup` wrote"
    );
    let Some(contents) = contents else {
        ensure!(!files.is_empty(), NoBackup);
        bail!("the backup is torn: `{CONTENTS}`, which is its end, is missing");
    };
    compare(&contents, &files)?;
    Ok(contents)
}

const DAMAGED: &str = "this is no archive that `soma backup` made, or it is torn or damaged";

/// The name of a file; nothing else may be there.
fn name(entry: &Entry<'_, impl Read>) -> anyhow::Result<String> {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    match entry.header().entry_type() {
        EntryType::Regular => Ok(name),
        _ => bail!("`{}` is no file", shown(&name)),
    }
}

/// A name that anybody can have chosen, for a message.
fn shown(name: &str) -> String {
    name.escape_debug().take(256).collect()
}

/// Whether there is nothing but zeros to the end.
fn is_zeros(mut from: impl Read) -> io::Result<bool> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let read = match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(true);
        }
        if bytes[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
}

fn write(from: &mut impl Read, path: &Path) -> anyhow::Result<About> {
    if let Some(folder) = path.parent() {
        owner_only::make_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let mut to = Measured::new(file);
    io::copy(from, &mut to).context(DAMAGED)?;
    let (file, about) = to.end();
    file.sync_all()?;
    Ok(about)
}

fn compare(contents: &Contents, files: &BTreeMap<String, About>) -> anyhow::Result<()> {
    for (name, about) in &contents.files {
        match files.get(name) {
            Some(found) if found == about => {}
            Some(_) => bail!("`{name}` is damaged: it is not what was backed up"),
            None => bail!("`{}` is missing", shown(name)),
        }
    }
    if let Some(name) = files
        .keys()
        .find(|name| !contents.files.contains_key(*name))
    {
        bail!("`{name}` is in it, and was not backed up");
    }
    for (name, about) in files {
        // A file of a capsule is named by what is in it.
        ensure!(
            hex_of(name).is_none_or(|hex| hex == about.sha256),
            "`{name}` is another capsule"
        );
    }
    let tables: BTreeSet<String> = contents.tables.iter().map(|it| of_table(it)).collect();
    let is_table = |name: &&String| name.starts_with("database/");
    let found: BTreeSet<String> = files.keys().filter(is_table).cloned().collect();
    ensure!(
        tables == found,
        "the tables in it are not those that it names"
    );
    Ok(())
}
