//! The log's files, as a backup takes them and a restore proves them.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;
use soma_registry::log::{Checkpoint, Frontier};

use super::line::{Line, is_erased, leaf};
use super::secret;
use super::store::{Store, firsts, path, read};

/// Of `head.json`, what is signed.
#[derive(Deserialize)]
struct Signed {
    checkpoint: String,
}

/// Whether it is one that a host writes.
pub(super) fn is_line(line: &[u8]) -> bool {
    // However deep it is nested: nobody goes into it here.
    let record = Line::<Box<RawValue>>::read(line).map(|line| line.record);
    is_erased(line) || record.is_some_and(|record| record.get().starts_with('{'))
}

/// The files of records, in their order.
pub(crate) fn files(records: &Path) -> io::Result<Vec<PathBuf>> {
    let firsts = firsts(records)?.into_iter();
    Ok(firsts.map(|first| path(records, first)).collect())
}

/// How many bytes of a file that is being written are whole lines, and how many lines they are.
pub(crate) fn whole_lines(file: &mut File) -> io::Result<(u64, u64)> {
    let (mut read, mut whole, mut lines) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let some = match file.read(&mut buffer)? {
            0 => break,
            many => &buffer[..many],
        };
        if let Some(end) = some.iter().rposition(|byte| *byte == b'\n') {
            whole = read + end as u64 + 1;
        }
        lines += some.iter().filter(|byte| **byte == b'\n').count() as u64;
        read += some.len() as u64;
    }
    file.rewind()?;
    Ok((whole, lines))
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
        let lines = read(&records, frontier.size(), size)?;
        ensure!(
            !lines.is_empty(),
            "records are missing after {}",
            frontier.size()
        );
        for line in lines {
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
