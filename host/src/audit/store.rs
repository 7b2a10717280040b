//! The lines on disk, as the one who writes them has them.

mod start;

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use soma_registry::owner_only;

use super::layout::{IN_FILE, check, firsts, firsts_of, open, path, read, whole_lines};
use super::lines::Lines;

/// The files, the last of which is written.
pub(super) struct Store {
    folder: PathBuf,
    file: File,
    /// Lines in all files.
    size: u64,
    /// Bytes of the last file that are known to be on disk.
    bytes: u64,
}

impl Store {
    /// Opens the files in a folder, all of which must be there. What was written last and not to its
    /// end does not count, and is [cut](Self::cut) before anything is appended.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let firsts = firsts(folder)?;
        check(&firsts)?;
        let first = firsts.last().copied().unwrap_or(0);
        let mut file = open(&path(folder, first))?;
        let (bytes, lines) = whole_lines(&mut file)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            size: first + lines.min(IN_FILE),
            bytes,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends lines; when this returns, they outlive a power cut. On an error those are there that
    /// went to files before the one that failed, as `size` says, and no others.
    pub(super) fn append(&mut self, lines: &Lines) -> io::Result<()> {
        let mut done = 0;
        while done < lines.len() {
            if self.size > 0 && self.size.is_multiple_of(IN_FILE) && self.bytes > 0 {
                self.file = open(&path(&self.folder, self.size))?;
                File::open(&self.folder)?.sync_all()?;
                self.bytes = 0;
            }
            let room = usize::try_from(IN_FILE - self.size % IN_FILE).unwrap_or(usize::MAX);
            let now = room.min(lines.len() - done);
            let text = lines.text(done, done + now);
            self.write(text)?;
            self.size += now as u64;
            self.bytes += text.len() as u64;
            done += now;
        }
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text);
        written
            .and_then(|()| self.file.sync_data())
            .inspect_err(|_| {
                // What is half there would stand before the next line.
                let cut = self.file.set_len(self.bytes);
                let back = cut.and_then(|()| self.file.seek(SeekFrom::End(0)));
                if let Err(error) = back {
                    tracing::error!(%error, "the end of the audit log cannot be cut off");
                }
            })
    }

    /// Puts other lines in the place of some: `erase` gives what takes a line's place. Gives how
    /// many it did.
    pub(super) fn rewrite(&mut self, erase: impl Fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<u64> {
        let mut erased = 0;
        for first in firsts_of(self.size) {
            let lines = read(&self.folder, first, self.size)?;
            let new: Vec<Option<Vec<u8>>> = lines.iter().map(|line| erase(line)).collect();
            let here = new.iter().flatten().count() as u64;
            if here == 0 {
                continue;
            }
            let mut text = Vec::new();
            for (line, new) in lines.iter().zip(&new) {
                text.extend_from_slice(new.as_ref().unwrap_or(line));
                text.push(b'\n');
            }
            let place = path(&self.folder, first);
            owner_only::replace(&place, &text)?;
            if first + lines.len() as u64 == self.size {
                self.file = open(&place)?;
                self.file.seek(SeekFrom::End(0))?;
                self.bytes = text.len() as u64;
            }
            erased += here;
        }
        Ok(erased)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::Range;

    use super::*;

    pub(super) fn lines(range: Range<u64>) -> Vec<Vec<u8>> {
        range.map(|n| format!("line {n}").into_bytes()).collect()
    }

    #[test]
    fn lines_cross_files_and_survive_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut store = Store::open(folder).unwrap();
        store.append(&lines(0..10).iter().collect()).unwrap();
        store
            .append(&lines(10..2 * IN_FILE).iter().collect())
            .unwrap();
        assert_eq!(store.size(), 2 * IN_FILE);
        drop(store);
        // Full files: the next line begins a new one.
        let mut store = Store::open(folder).unwrap();
        let more = lines(2 * IN_FILE..2 * IN_FILE + 3);
        store.append(&more.iter().collect()).unwrap();
        drop(store);
        let last = path(folder, 2 * IN_FILE);
        let mut text = fs::read(&last).unwrap();
        text.extend_from_slice(b"half a l");
        fs::write(&last, text).unwrap();
        let mut store = Store::open(folder).unwrap();
        assert_eq!(store.size(), 2 * IN_FILE + 3);
        store.cut(0, |_| true).unwrap();
        let more = lines(2 * IN_FILE + 3..2 * IN_FILE + 4);
        store.append(&more.iter().collect()).unwrap();
        let size = store.size();
        let mut from = 0;
        while from < size {
            let read = read(folder, from, size).unwrap();
            assert_eq!(read, lines(from..from + read.len() as u64));
            from += read.len() as u64;
        }
        assert_eq!(from, size);

        let is_old = |line: &[u8]| line.ends_with(b"0").then(|| b"gone".to_vec());
        let erased = store.rewrite(is_old).unwrap();
        assert_eq!(erased, (0..size).filter(|n| n % 10 == 0).count() as u64);
        assert_eq!(store.rewrite(is_old).unwrap(), 0);
        store
            .append(&lines(size..size + 1).iter().collect())
            .unwrap();
        let end = read(folder, size - 2, size + 1).unwrap();
        assert_eq!(end, lines(size - 2..size + 1));
        assert_eq!(
            read(folder, size + 1, size + 1).unwrap(),
            [] as [Vec<u8>; 0]
        );
    }
}
