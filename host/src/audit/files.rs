//! The log's files, as a backup takes them and a restore proves them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use soma_registry::log::Frontier;

use super::head::{self, Head};
use super::layout::{IN_FILE, check, firsts, path, read_next, whole_lines};
use super::line::{is_line, leaf};
use super::secret;

/// The files of records, in their order.
pub(crate) fn files(records: &Path) -> io::Result<Vec<PathBuf>> {
    let firsts = firsts(records)?.into_iter();
    Ok(firsts.map(|first| path(records, first)).collect())
}

/// How many records are written, in files that must all be there.
pub(crate) fn written(folder: &Path) -> anyhow::Result<u64> {
    let records = folder.join("records");
    let firsts = firsts(&records)?;
    check(&firsts)?;
    let Some(&first) = firsts.last() else {
        return Ok(0);
    };
    let (_, lines) = whole_lines(&mut File::open(path(&records, first))?)?;
    Ok(first + lines.min(IN_FILE))
}

/// How many of them are signed.
pub(crate) fn signed(folder: &Path) -> anyhow::Result<u64> {
    Ok(newest(folder)?.size())
}

/// What was signed last, by a host that may be running.
fn newest(folder: &Path) -> anyhow::Result<Head> {
    let key = secret(&folder.join("key")).context("its key")?.log_key();
    Head::read(folder, &key)?.with_context(|| format!("{} is missing", head::FILE))
}

/// Makes the root that was signed from every line, and compares: nothing of a log that is to be
/// gone on with was changed or is missing. What came after the signature is at least what a host
/// writes. Gives how many records there are.
pub(crate) fn prove(folder: &Path) -> anyhow::Result<u64> {
    let head = newest(folder)?;
    let records = folder.join("records");
    let size = written(folder)?;
    let (signed, root) = (head.size(), head.frontier.root());
    ensure!(
        size >= signed,
        "{signed} records were signed and {size} are there"
    );
    let mut frontier = Frontier::default();
    let mut is_proven = frontier.root() == root && signed == 0;
    while frontier.size() < size {
        for line in read_next(&records, frontier.size(), size)? {
            ensure!(
                frontier.size() < signed || is_line(&line),
                "record {} is none that a host writes",
                frontier.size()
            );
            frontier.push(&leaf(&line));
            is_proven |= frontier.size() == signed && frontier.root() == root;
        }
    }
    ensure!(is_proven, "its records are not those that were signed");
    Ok(size)
}
