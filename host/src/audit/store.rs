//! The lines on disk: files of 4,096 lines each, named by the index of the first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use soma_registry::owner_only;

use super::lines::Lines;

/// Lines in one file.
pub(super) const IN_FILE: u64 = 4096;

/// The files, as the one who writes them has them.
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
    /// end is taken away: nobody was told that it is there.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let firsts = firsts(folder)?;
        check(&firsts)?;
        let first = firsts.last().copied().unwrap_or(0);
        let mut file = open(&path(folder, first))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n');
        let bytes = whole.map_or(0, |end| end as u64 + 1);
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            size: first + lines.min(IN_FILE),
            bytes,
        })
    }

    /// Ends the log, behind what is signed, at the first line that is none: where nobody was told that
    /// something is on disk, a power cut can leave anything.
    pub(super) fn cut(&mut self, signed: u64, is_line: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        let last = signed.saturating_sub(1);
        let from = last - last % IN_FILE;
        let firsts = firsts(&self.folder)?;
        for first in firsts.iter().copied().filter(|first| *first >= from) {
            let text = fs::read(path(&self.folder, first))?;
            let signed = signed.saturating_sub(first);
            let (lines, bytes) = whole_lines(&text, signed, &is_line);
            if lines < signed {
                return Err(missing(&format!(" after {}", first + lines)));
            }
            let is_whole = match firsts.last() == Some(&first) {
                true => bytes == text.len(),
                false => lines == IN_FILE,
            };
            if !is_whole {
                return self.end_at(first, lines, bytes as u64);
            }
        }
        Ok(())
    }

    /// Takes away whatever is behind these lines of a file. The last file goes first: wherever this is
    /// broken off, none is missing between others.
    fn end_at(&mut self, first: u64, lines: u64, bytes: u64) -> io::Result<()> {
        let mut gone = 0;
        let later = firsts(&self.folder)?.into_iter().rev();
        for later in later.take_while(|later| *later > first) {
            let place = path(&self.folder, later);
            gone += fs::metadata(&place)?.len();
            fs::remove_file(&place)?;
            File::open(&self.folder)?.sync_all()?;
        }
        let place = path(&self.folder, first);
        self.file = open(&place)?;
        gone += self.file.metadata()?.len().saturating_sub(bytes);
        self.file.set_len(bytes)?;
        self.file.sync_all()?;
        self.file.seek(SeekFrom::End(0))?;
        self.size = first + lines;
        self.bytes = bytes;
        tracing::warn!(
            bytes = gone,
            file = %place.display(),
            at = bytes,
            "what is no record was cut off the end of the audit log: it was never signed"
        );
        Ok(())
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
        for first in (0..=self.size).step_by(usize::try_from(IN_FILE).unwrap_or(usize::MAX)) {
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

/// The lines from an index to the end of its file, or to `size`.
pub(super) fn read(folder: &Path, from: u64, size: u64) -> io::Result<Vec<Vec<u8>>> {
    if from >= size {
        return Ok(Vec::new());
    }
    let first = from - from % IN_FILE;
    let end = size.min(first + IN_FILE);
    let lines = io::BufReader::new(File::open(path(folder, first))?).split(b'\n');
    let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
    let take = usize::try_from(end - from).unwrap_or(usize::MAX);
    lines.skip(skip).take(take).collect()
}

/// With which line each file begins, in their order. What is being put in the place of another has a name
/// of another kind.
pub(super) fn firsts(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let first = name.strip_suffix(".jsonl");
        let first = first.and_then(|first| first.parse::<u64>().ok());
        firsts.extend(first.filter(|first| *name == file_name(*first)));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Refuses files between which one is missing, and those that no host makes.
fn check(firsts: &[u64]) -> io::Result<()> {
    let step = usize::try_from(IN_FILE).unwrap_or(usize::MAX);
    for (first, wanted) in firsts.iter().zip((0_u64..).step_by(step)) {
        if !first.is_multiple_of(IN_FILE) {
            let name = file_name(*first);
            return Err(io::Error::other(format!(
                "{name} is none of the log's files, whose numbers are multiples of {IN_FILE}: move \
                 it away"
            )));
        }
        if *first != wanted {
            return Err(missing(&format!(
                ": there is no file {}",
                file_name(wanted)
            )));
        }
    }
    Ok(())
}

/// That records are gone, with where.
fn missing(place: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("records are missing{place}"),
    )
}

/// How many lines a file's text has before the first that is none, and their bytes. Those that are
/// signed are what they are.
fn whole_lines(text: &[u8], signed: u64, is_line: impl Fn(&[u8]) -> bool) -> (u64, usize) {
    let (mut lines, mut bytes) = (0, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Some(inner) = line.strip_suffix(b"\n") else {
            break;
        };
        let is_one = lines < signed || is_line(inner);
        if lines == IN_FILE || !is_one {
            break;
        }
        lines += 1;
        bytes += line.len();
    }
    (lines, bytes)
}

/// The file that begins with the line of this index.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(file_name(first))
}

fn file_name(first: u64) -> String {
    format!("{first:012}.jsonl")
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    options.mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    fn lines(range: Range<u64>) -> Vec<Vec<u8>> {
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

    /// Writes files of these lines, one of which may be none.
    fn write(folder: &Path, files: &[Range<u64>], other: Option<u64>) {
        for (first, range) in (0..).step_by(4096).zip(files) {
            let line = |n| match other == Some(n) {
                true => "\0\0\n".to_owned(),
                false => format!("line {n}\n"),
            };
            let text: String = range.clone().map(line).collect();
            fs::write(path(folder, first), text).unwrap();
        }
    }

    fn is_line(line: &[u8]) -> bool {
        line.starts_with(b"line ")
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        for (firsts, words) in [
            (vec![0, 2 * IN_FILE], "there is no file 000000004096.jsonl"),
            (
                vec![0, 244 * IN_FILE],
                "there is no file 000000004096.jsonl",
            ),
            (vec![IN_FILE], "there is no file 000000000000.jsonl"),
            (vec![0, 5], "000000000005.jsonl is none of the log's files"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for first in firsts {
                fs::write(path(folder.path(), first), "").unwrap();
            }
            let error = Store::open(folder.path()).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
        // What is named in another way is nothing of the log's.
        let folder = tempfile::tempdir().unwrap();
        for name in ["7.jsonl", "+00000000005.jsonl", "notes.jsonl", ".tmp4096"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(Store::open(folder.path()).unwrap().size(), 0);
    }

    #[test]
    fn the_log_ends_where_behind_the_signed_lines_one_is_none() {
        let size = 2 * IN_FILE + 5;
        for (signed, other, end) in [
            (0, None, size),
            (size, None, size),
            (size - 3, Some(size - 1), size - 1),
            (10, Some(2 * IN_FILE), 2 * IN_FILE),
            (IN_FILE, Some(IN_FILE + 7), IN_FILE + 7),
            (10, Some(10), 10),
            // What is signed is not touched.
            (11, Some(10), size),
            (size, Some(IN_FILE + 7), size),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path();
            let files = [0..IN_FILE, IN_FILE..2 * IN_FILE, 2 * IN_FILE..size];
            write(folder, &files, other);
            let mut store = Store::open(folder).unwrap();
            assert_eq!(store.size(), size);
            store.cut(signed, is_line).unwrap();
            assert_eq!(store.size(), end, "{signed} {other:?}");
            let last = firsts(folder).unwrap().pop().unwrap();
            assert_eq!(last, end - end % IN_FILE);
            // The next line follows on that.
            let more = lines(end..end + 3);
            store.append(&more.iter().collect()).unwrap();
            drop(store);
            let store = Store::open(folder).unwrap();
            assert_eq!(store.size(), end + 3);
            assert_eq!(read(folder, end, end + 3).unwrap(), more);
        }
    }

    #[test]
    fn files_with_fewer_or_more_lines_than_they_have_room_for_end_it_too() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write(folder, &[0..20, Range::default()], None);
        let mut store = Store::open(folder).unwrap();
        let error = store.cut(21, is_line).unwrap_err().to_string();
        assert!(error.contains("records are missing after 20"), "{error}");
        assert_eq!(firsts(folder).unwrap(), [0, IN_FILE]);
        store.cut(10, is_line).unwrap();
        assert_eq!((store.size(), firsts(folder).unwrap()), (20, vec![0]));

        write(folder, std::slice::from_ref(&(0..IN_FILE + 2)), None);
        let mut store = Store::open(folder).unwrap();
        store.cut(10, is_line).unwrap();
        store
            .append(&lines(IN_FILE..IN_FILE + 1).iter().collect())
            .unwrap();
        drop(store);
        assert_eq!(Store::open(folder).unwrap().size(), IN_FILE + 1);
        let text = fs::read(path(folder, 0)).unwrap();
        assert_eq!(text.split(|byte| *byte == b'\n').count(), 4097);
    }
}
