//! Files that are named on the command line: regular ones alone, and never more of one than it can
//! mean.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

/// The most bytes of a grant, of what narrows a key, and of certificates: 1 MiB.
pub(crate) const MAX_TEXT_BYTES: usize = 1 << 20;

/// Whether it is a regular file. To open a pipe would wait for its writer, and a device has no end.
pub(crate) fn require_regular(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?;
    if kind.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    match kind.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    }
}

/// What is in it: of a longer one no more than shows that it is longer.
pub(crate) fn beginning(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    require_regular(path)?;
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text in it, of so many bytes at most.
pub(crate) fn text(path: &Path, most: usize) -> io::Result<String> {
    let bytes = beginning(path, most)?;
    if bytes.len() > most {
        let words = format!("it has over {most} bytes");
        return Err(io::Error::other(words));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_and_not_too_much_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "four").unwrap();
        assert_eq!(text(&file, 4).unwrap(), "four");
        let why = |path: &Path, most| text(path, most).unwrap_err().to_string();
        assert_eq!(why(&file, 3), "it has over 3 bytes");
        assert_eq!(beginning(&file, 2).unwrap(), b"fou");
        assert_eq!(why(folder.path(), 4), "it is a folder");
        assert_eq!(why(Path::new("/dev/zero"), 4), "it is no regular file");
        fs::write(&file, b"\xff").unwrap();
        assert_eq!(why(&file, 4), "it is not UTF-8");
        let none = text(&folder.path().join("none"), 4).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
    }
}
