//! The README: a file's path in `capsule.toml`, the file's text in the capsule.

use std::io;

use serde::Deserialize;

use super::error::Location;
use crate::text::{self, TextError};

/// The largest README: 64 KiB.
pub const MAX_README_BYTES: usize = 64 << 10;
const MAX_PATH: usize = 256;

/// Why a README cannot go into the capsule.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadmeError {
    #[error(
        "`{0}` is not a path inside the project: write one like \"README.md\", relative, with `/` and without `..`"
    )]
    Path(String),
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: io::Error },
    #[error("{0} is larger than {MAX_README_BYTES} bytes")]
    TooLarge(String),
    #[error("{0} is not UTF-8")]
    Encoding(String),
    #[error("{0} is empty")]
    Empty(String),
    #[error("{path}, line {line}, column {column}: the text {error}")]
    Text {
        path: String,
        line: usize,
        column: usize,
        error: TextError,
    },
}

/// The text of the file that `path` names, its line ends as `\n`.
pub(super) fn text(
    path: &str,
    read: impl FnOnce(&str) -> io::Result<Vec<u8>>,
) -> Result<String, ReadmeError> {
    if !is_inside(path) {
        let shown = path.chars().take(80).flat_map(char::escape_debug);
        return Err(ReadmeError::Path(shown.collect()));
    }
    let path = path.to_owned();
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Err(ReadmeError::Read { path, error }),
    };
    if bytes.len() > MAX_README_BYTES {
        return Err(ReadmeError::TooLarge(path));
    }
    let Ok(given) = String::from_utf8(bytes) else {
        return Err(ReadmeError::Encoding(path));
    };
    // Some editors mark a file as UTF-8, and end lines in two characters; nobody reads either.
    let given = given.strip_prefix('\u{feff}').unwrap_or(&given);
    let text = given.replace("\r\n", "\n");
    if text.trim().is_empty() {
        return Err(ReadmeError::Empty(path));
    }
    if let Err(error) = text::prose(&text, MAX_README_BYTES) {
        let position = match error {
            TextError::Character { position, .. } => position,
            TextError::TooLong { bound, .. } => bound,
        };
        let before: String = text.chars().take(position).collect();
        let Location { line, column, .. } = Location::of(&text, before.len());
        return Err(ReadmeError::Text {
            path,
            line,
            column,
            error,
        });
    }
    Ok(text)
}

fn is_inside(path: &str) -> bool {
    text::line(path, MAX_PATH).is_ok()
        && !path.contains(['\\', ':'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Where `capsule.toml` names the README.
pub(super) fn location(toml: &str) -> Option<Location> {
    #[derive(Deserialize)]
    struct Named {
        readme: toml::Spanned<String>,
    }
    let named: Named = toml::from_str(toml).ok()?;
    Some(Location::of(toml, named.readme.span().start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_file_inside_the_project() {
        let read = |bytes: &[u8]| text("docs/README.md", |_| Ok(bytes.to_vec()));
        assert_eq!(
            read(b"\xef\xbb\xbf# One\r\n\r\n\ttwo\n").unwrap(),
            "# One\n\n\ttwo\n"
        );
        let long = vec![b'a'; MAX_README_BYTES + 1];
        assert!(read(&long[1..]).is_ok());
        for (bytes, problem) in [
            (&b"\n \n"[..], "docs/README.md is empty"),
            (b"\xff", "docs/README.md is not UTF-8"),
            (&long, "docs/README.md is larger than 65536 bytes"),
            (
                "# Ö\nab\u{202e}c".as_bytes(),
                "docs/README.md, line 2, column 3: the text has the bidirectional character U+202E at position 6; remove it",
            ),
            (
                b"a\rb",
                "docs/README.md, line 1, column 2: the text has the control character U+000D at position 1; remove it",
            ),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), problem);
        }
        let missing = text("README.md", |_| Err(io::ErrorKind::NotFound.into()));
        let message = missing.unwrap_err().to_string();
        assert!(message.starts_with("cannot read README.md: "), "{message}");
    }

    #[test]
    fn no_file_outside_the_project() {
        for path in [
            "",
            "/etc/passwd",
            "../README.md",
            "a/../../b",
            "./README.md",
            "a//b",
            "a/",
            "C:\\README.md",
            "a\\b",
            "a\nb",
            "\u{202e}",
        ] {
            let refused = text(path, |_| panic!("{path} was read"));
            assert!(matches!(refused, Err(ReadmeError::Path(_))), "{path}");
        }
    }
}
