//! The log's files, as a backup takes them and a restore proves them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use soma_registry::log::{Checkpoint, Frontier};

use super::layout::{firsts, path, read_next, whole_lines};
use super::line::{is_line, leaf};
use super::secret;
use super::store::Store;

/// Of `head.json`, what is signed.
#[derive(Deserialize)]
struct Signed {
    checkpoint: String,
}

/// The files of records, in their order.
pub(crate) fn files(records: &Path) -> io::Result<Vec<PathBuf>> {
    let firsts = firsts(records)?.into_iter();
    Ok(firsts.map(|first| path(records, first)).collect())
}

/// How many records are written.
pub(crate) fn written(folder: &Path) -> anyhow::Result<u64> {
    let records = folder.join("records");
    let Some(first) = firsts(&records)?.pop() else {
        return Ok(0);
    };
    let (_, lines) = whole_lines(&mut File::open(path(&records, first))?)?;
    Ok(first + lines)
}

/// How many of them are signed.
pub(crate) fn signed(folder: &Path) -> anyhow::Result<u64> {
    Ok(checkpoint(folder)?.size())
}

/// The newest, of a host that may be running.
fn checkpoint(folder: &Path) -> anyhow::Result<Checkpoint> {
    let key = secret(&folder.join("key")).context("its key")?.log_key();
    let head = fs::read(folder.join("head.json")).context("head.json")?;
    let head: Signed = serde_json::from_slice(&head).context("head.json")?;
    Checkpoint::read(head.checkpoint.as_bytes(), &key).context("head.json")
}

/// Makes the root that was signed from every line, and compares: nothing of a log that is to be
/// gone on with was changed or is missing. What came after the signature is at least what a host
/// writes. Gives how many records there are.
pub(crate) fn prove(folder: &Path) -> anyhow::Result<u64> {
    let checkpoint = checkpoint(folder)?;
    let records = folder.join("records");
    let size = Store::open(&records)?.size();
    let signed = checkpoint.size();
    ensure!(
        size >= signed,
        "{signed} records were signed and {size} are there"
    );
    let mut frontier = Frontier::default();
    let mut is_proven = frontier.root() == checkpoint.root() && signed == 0;
    while frontier.size() < size {
        for line in read_next(&records, frontier.size(), size)? {
            ensure!(
                frontier.size() < signed || is_line(&line),
                "record {} is none that a host writes",
                frontier.size()
            );
            frontier.push(&leaf(&line));
            is_proven |= frontier.size() == signed && frontier.root() == checkpoint.root();
        }
    }
    ensure!(is_proven, "its records are not those that were signed");
    Ok(size)
}
