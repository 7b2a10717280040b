//! What is wrong with a `capsule.toml`, and where.

use std::fmt;

/// A `capsule.toml` that cannot be used: where, and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// The place in the file; none where something is missing altogether.
    pub location: Option<Location>,
    /// What is wrong there, in words.
    pub problem: String,
}

/// A place in a text file.
#[derive(Debug, PartialEq, Eq)]
pub struct Location {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// The whole line, without its end.
    pub text: String,
}

impl ManifestError {
    pub(super) fn new(toml: &str, error: &toml::de::Error) -> Self {
        let problem = error.message().to_owned();
        // What is missing has no place: there the span is the whole table's.
        if problem.starts_with("missing field") {
            let problem =
                format!("{problem}; a manifest needs `name`, `version` and `description`");
            return Self {
                location: None,
                problem,
            };
        }
        let location = error.span().map(|span| Location::of(toml, span.start));
        Self { location, problem }
    }
}

impl Location {
    /// Where the byte at `offset` is; past the end, where the text ends.
    pub(super) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text: text[line_start..].lines().next().unwrap_or("").to_owned(),
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Location { line, column, text }) = &self.location else {
            return f.write_str(&self.problem);
        };
        let gutter = line.to_string().len();
        // Tabs stay tabs, so that the caret stands below its character.
        let indent: String = text
            .chars()
            .take(column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        write!(
            f,
            "line {line}, column {column}: {}\n{:gutter$} |\n{line} | {text}\n{:gutter$} | {indent}^",
            self.problem, "", ""
        )
    }
}
