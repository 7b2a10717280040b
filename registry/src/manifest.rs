//! What an author writes in `capsule.toml`.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use soma_capability::{CapsuleName, LimitsAsked};

use crate::text;

/// A capsule's manifest:
///
/// ```
/// let manifest = soma_registry::Manifest::from_toml(r#"
///     name = "local/hello"
///     version = "0.1.0"
///     description = "Says hello."
///
///     [limits]          # all optional; what is not asked is the host's default
///     fuel = 1_000_000_000
///     time-ms = 5_000
///     memory-mib = 32
/// "#)?;
/// assert_eq!(manifest.name.to_string(), "local/hello");
/// # Ok::<(), soma_registry::ManifestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// `namespace/name`.
    pub name: CapsuleName,
    /// Semantic Versioning 2.0.0, at most 64 characters.
    #[serde(deserialize_with = "version")]
    pub version: Version,
    /// For people and models: 1–1024 characters, line feeds and tabs allowed.
    #[serde(deserialize_with = "description")]
    pub description: String,
    /// What one call may use, where the author wants other than the host's defaults.
    #[serde(
        default,
        deserialize_with = "limits",
        skip_serializing_if = "asks_nothing"
    )]
    pub limits: LimitsAsked,
}

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

impl Manifest {
    /// Reads a `capsule.toml`. Keys that are not known are refused, since a misspelt limit would
    /// otherwise be no limit.
    pub fn from_toml(toml: &str) -> Result<Self, ManifestError> {
        toml::from_str(toml).map_err(|error| ManifestError::new(toml, &error))
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::line(&text, 64).map_err(|e| D::Error::custom(format_args!("the version {e}")))?;
    Version::parse(&text).map_err(|e| {
        D::Error::custom(format_args!(
            "`{text}` is not a version: {e}; write it as in \"0.1.0\""
        ))
    })
}

fn description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::prose(&text, 1024).map_err(|e| D::Error::custom(format_args!("the description {e}")))?;
    if text.trim().is_empty() {
        return Err(D::Error::custom(
            "the description is empty; say in a sentence what the capsule is for",
        ));
    }
    Ok(text)
}

/// The largest whole number that RFC 8785's numbers, which are doubles, hold exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LimitsAsked, D::Error> {
    let asked = LimitsAsked::deserialize(deserializer)?;
    let all = [
        ("fuel", asked.fuel),
        ("time-ms", asked.time_ms),
        ("memory-mib", asked.memory_mib),
    ];
    for (key, value) in all {
        if value.is_some_and(|v| !(1..=MAX_EXACT).contains(&v)) {
            return Err(D::Error::custom(format_args!(
                "`{key}` must be between 1 and {MAX_EXACT}"
            )));
        }
    }
    Ok(asked)
}

fn asks_nothing(limits: &LimitsAsked) -> bool {
    *limits == LimitsAsked::default()
}

impl ManifestError {
    fn new(toml: &str, error: &toml::de::Error) -> Self {
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
    fn of(text: &str, offset: usize) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "name = \"local/hello\"\nversion = \"0.1.0\"\ndescription = \"Says hello.\"\n";

    fn error(toml: &str) -> String {
        Manifest::from_toml(toml).unwrap_err().to_string()
    }

    #[test]
    fn points_at_what_is_wrong() {
        assert_eq!(
            error(&format!("{GOOD}\n[limits]\ntime = 3\n")),
            "line 6, column 1: unknown field `time`, expected one of `fuel`, `time-ms`, `memory-mib`\n  |\n6 | time = 3\n  | ^"
        );
        for (toml, start) in [
            (
                GOOD.replace("0.1.0", "1"),
                "line 2, column 11: `1` is not a version",
            ),
            (
                GOOD.replace("local/hello", "Hello"),
                "line 1, column 8: a capsule's name is",
            ),
            (
                GOOD.replace("Says hello.", " "),
                "line 3, column 15: the description is empty",
            ),
            (
                GOOD.replace("Says", "\\u001b"),
                "line 3, column 15: the description has the control",
            ),
            (GOOD.replace("= \"Says", "\"Says"), "line 3, column 13:"),
            (
                format!("{GOOD}[limits]\nfuel = 0\n"),
                "line 4, column 1: `fuel` must be between",
            ),
            (
                format!("{GOOD}[limits]\nfuel = -1\n"),
                "line 5, column 8: invalid value",
            ),
            (format!("{GOOD}name = 1"), "line 4, column 1: duplicate key"),
        ] {
            let message = error(&toml);
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(
            error(""),
            "missing field `name`; a manifest needs `name`, `version` and `description`"
        );
    }

    #[test]
    fn serialises_to_what_it_was_read_from() {
        let manifest = Manifest::from_toml(GOOD).unwrap();
        let json = serde_json::to_string(&manifest).unwrap();
        assert_eq!(
            json,
            r#"{"name":"local/hello","version":"0.1.0","description":"Says hello."}"#
        );
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }

    #[test]
    fn any_text_is_an_answer_not_a_panic() {
        for end in 0..GOOD.len() {
            let _error_or_not = Manifest::from_toml(&GOOD[..end]).map_err(|e| e.to_string());
            let broken = format!("{}\u{1f980}\t\u{0}{}", &GOOD[..end], &GOOD[end..]);
            assert!(!error(&broken).is_empty());
        }
    }
}
