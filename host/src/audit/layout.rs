//! How the lines lie on disk: in files of 4,096 each, named by the index of the first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Lines in one file.
pub(super) const IN_FILE: u64 = 4096;
/// Bytes at the end of a file that most last lines are in.
const TAIL: u64 = 8 << 10;

/// The file that begins with the line of this index.
pub(super) fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(file_name(first))
}

fn file_name(first: u64) -> String {
    format!("{first:012}.jsonl")
}

/// With which line the file begins that has the line of this index.
pub(super) fn first_of(line: u64) -> u64 {
    line - line % IN_FILE
}

/// With which line each file begins that the first `size` lines are in.
pub(super) fn firsts_of(size: u64) -> impl Iterator<Item = u64> {
    (0..size.div_ceil(IN_FILE)).map(|file| file * IN_FILE)
}

/// With which line each file begins that is there, in their order. What is being put in the place of
/// another has a name of another kind.
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
pub(super) fn check(firsts: &[u64]) -> io::Result<()> {
    for (first, file) in firsts.iter().zip(0_u64..) {
        let wanted = file * IN_FILE;
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
pub(super) fn missing(place: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("records are missing{place}"),
    )
}

/// Opens a file, or makes one that is its owner's alone.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    options.mode(0o600).open(path)
}

/// The lines from an index to the end of its file, or to `size`.
pub(super) fn read(folder: &Path, from: u64, size: u64) -> io::Result<Vec<Vec<u8>>> {
    if from >= size {
        return Ok(Vec::new());
    }
    let first = first_of(from);
    let end = size.min(first + IN_FILE);
    let lines = io::BufReader::new(File::open(path(folder, first))?).split(b'\n');
    let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
    let take = usize::try_from(end - from).unwrap_or(usize::MAX);
    lines.skip(skip).take(take).collect()
}

/// The same, where there has to be one at least.
pub(super) fn read_next(folder: &Path, from: u64, size: u64) -> io::Result<Vec<Vec<u8>>> {
    let lines = read(folder, from, size)?;
    if lines.is_empty() {
        return Err(missing(&format!(" after {from}")));
    }
    Ok(lines)
}

/// The last line of a file, which is read from behind; none where it has no end, or no line is there.
pub(super) fn last_line(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut tail = TAIL;
    loop {
        let from = size.saturating_sub(tail);
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut text)?;
        if text.pop() != Some(b'\n') {
            return Ok(None);
        }
        let before = text.iter().rposition(|byte| *byte == b'\n');
        if before.is_some() || from == 0 {
            return Ok(Some(text.split_off(before.map_or(0, |at| at + 1))));
        }
        tail *= 8;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
            let error = check(&firsts).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let whole: Vec<u64> = firsts_of(3 * IN_FILE + 1).collect();
        assert_eq!(whole.last(), Some(&first_of(3 * IN_FILE)));
        check(&whole).unwrap();
    }

    #[test]
    fn what_is_named_in_another_way_is_nothing_of_the_logs() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in ["7.jsonl", "+00000000005.jsonl", "notes.jsonl", ".tmp4096"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert!(firsts(folder).unwrap().is_empty());
        for first in [IN_FILE, 0] {
            fs::write(path(folder, first), "").unwrap();
        }
        assert_eq!(firsts(folder).unwrap(), [0, IN_FILE]);
    }

    #[test]
    fn a_last_line_is_found_however_long_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = path(folder.path(), 0);
        let tail = usize::try_from(TAIL).unwrap();
        for length in [1, tail - 2, tail - 1, tail, tail + 1, 9 * tail] {
            let line = "x".repeat(length);
            for (text, last) in [
                (format!("{line}\n"), Some(line.as_str())),
                (format!("before\n{line}\n"), Some(line.as_str())),
                (format!("{line}\n\n"), Some("")),
                (format!("before\n{line}"), None),
                (String::new(), None),
            ] {
                fs::write(&place, text).unwrap();
                let last = last.map(|last| last.as_bytes().to_vec());
                assert_eq!(last_line(&place).unwrap(), last, "{length}");
            }
        }
    }

    #[test]
    fn whole_lines_are_counted_however_long_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let place = path(folder.path(), 0);
        let long = "x".repeat(3 << 16);
        for (text, whole) in [
            (String::new(), (0, 0)),
            ("half".to_owned(), (0, 0)),
            ("\n\nhalf".to_owned(), (2, 2)),
            (format!("a\n{long}\n{long}"), (3 + (3 << 16), 2)),
        ] {
            fs::write(&place, text).unwrap();
            let mut file = File::open(&place).unwrap();
            assert_eq!(whole_lines(&mut file).unwrap(), whole);
            // It can be read from its beginning.
            assert_eq!(whole_lines(&mut file).unwrap(), whole);
        }
    }
}
