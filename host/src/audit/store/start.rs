//! The files at a host's start: of the lines that are signed none may be gone, and behind them the
//! log ends at the first that is none.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};

use super::super::layout::{
    IN_FILE, first_of, firsts, firsts_of, last_line, missing, open, path, whole_lines,
};
use super::Store;

impl Store {
    /// Ends the log, behind what is signed, at the first line that is none: where nobody was told that
    /// something is on disk, a power cut can leave anything.
    pub(in crate::audit) fn cut(
        &mut self,
        signed: u64,
        is_line: impl Fn(&[u8]) -> bool,
    ) -> io::Result<()> {
        let from = first_of(signed.saturating_sub(1));
        let firsts = firsts(&self.folder)?;
        for first in firsts.iter().copied().filter(|first| *first >= from) {
            let text = fs::read(path(&self.folder, first))?;
            let signed = signed.saturating_sub(first);
            let (lines, bytes) = sound_lines(&text, signed, &is_line);
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

    /// Refuses a log of which a file before the one with the last signed line was cut short. To count the
    /// lines of all of them would take long: only those of a file are that does not end with the line
    /// that was signed there.
    pub(in crate::audit) fn check_ends(
        &self,
        signed: u64,
        is_signed: impl Fn(u64, &[u8]) -> bool,
    ) -> io::Result<()> {
        for first in firsts_of(first_of(signed.saturating_sub(1))) {
            let place = path(&self.folder, first);
            let end = last_line(&place)?;
            if end.is_some_and(|line| is_signed(first + IN_FILE - 1, &line)) {
                continue;
            }
            let (_, lines) = whole_lines(&mut File::open(&place)?)?;
            if lines < IN_FILE {
                return Err(missing(&format!(" after {}", first + lines)));
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
}

/// How many lines a file's text has before the first that is none, and their bytes. Those that are
/// signed are what they are.
fn sound_lines(text: &[u8], signed: u64, is_line: impl Fn(&[u8]) -> bool) -> (u64, usize) {
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

#[cfg(test)]
mod tests {
    use std::ops::Range;
    use std::path::Path;

    use super::super::super::layout::read;
    use super::super::tests::lines;
    use super::*;

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
            assert_eq!(last, first_of(end));
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

    #[test]
    fn an_older_file_is_counted_only_where_it_ends_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let size = 2 * IN_FILE + 5;
        let files = [0..IN_FILE, IN_FILE..2 * IN_FILE, 2 * IN_FILE..size];
        write(folder, &files, None);
        let store = Store::open(folder).unwrap();
        let is_signed = |index: u64, line: &[u8]| line == format!("line {index}").as_bytes();
        store.check_ends(size, is_signed).unwrap();
        // Another line in its place is not one that is missing.
        write(folder, &files, Some(IN_FILE - 1));
        store.check_ends(size, is_signed).unwrap();

        write(folder, &[0..IN_FILE, IN_FILE..2 * IN_FILE - 3], None);
        let error = store.check_ends(size, is_signed).unwrap_err().to_string();
        assert!(error.contains("records are missing after 8189"), "{error}");
        // The file of the last signed line is not an older one.
        store.check_ends(2 * IN_FILE, is_signed).unwrap();
    }
}
