//! What an author writes in `capsule.toml`.

mod error;
mod fields;
mod readme;

use std::io;

use semver::Version;
use serde::{Deserialize, Serialize};
use soma_capability::{Capabilities, CapsuleName, LimitsAsked};

pub use error::{Location, ManifestError};
pub use readme::MAX_README_BYTES;

/// A capsule's manifest; `docs/capsule-toml.md` has every key:
///
/// ```
/// let manifest = soma_registry::Manifest::from_toml(r#"
///     name = "local/hello"
///     version = "0.1.0"
///     description = "Says hello."
///     license = "MIT OR Apache-2.0"
///     keywords = ["greeting"]
///
///     [limits]          # all optional; what is not asked is the host's default
///     fuel = 1_000_000_000
///     time-ms = 5_000
///     memory-mib = 32
///
///     [[capabilities.http]]
///     origin = "https://api.example.com"
///     methods = ["GET"]
///     paths = ["/names/{id}"]
///     why = "Looks up how people like to be greeted."
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
    #[serde(deserialize_with = "fields::version")]
    pub version: Version,
    /// For people and models: 1–1024 characters, line feeds and tabs allowed.
    #[serde(deserialize_with = "fields::description")]
    pub description: String,
    /// An SPDX licence expression, at most 128 characters.
    #[serde(
        default,
        deserialize_with = "fields::license",
        skip_serializing_if = "Option::is_none"
    )]
    pub license: Option<String>,
    /// Where its source is: an https URL of at most 256 characters.
    #[serde(
        default,
        deserialize_with = "fields::repository",
        skip_serializing_if = "Option::is_none"
    )]
    pub repository: Option<String>,
    /// To be found by: at most 8 words of `a-z`, `0-9` and `-`, 1–32 characters each.
    #[serde(
        default,
        deserialize_with = "fields::keywords",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub keywords: Vec<String>,
    /// The README's text, at most [`MAX_README_BYTES`]. In `capsule.toml` this key is the path of
    /// the file.
    #[serde(
        default,
        deserialize_with = "fields::readme",
        skip_serializing_if = "Option::is_none"
    )]
    pub readme: Option<String>,
    /// What one call may use, where the author wants other than the host's defaults.
    #[serde(
        default,
        deserialize_with = "fields::limits",
        skip_serializing_if = "asks_nothing"
    )]
    pub limits: LimitsAsked,
    /// What it asks for beyond computing.
    #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
}

impl Manifest {
    /// Reads a `capsule.toml` that stands alone: one that names a README is refused, as there is
    /// no folder to read that from.
    pub fn from_toml(toml: &str) -> Result<Self, ManifestError> {
        Self::from_project(toml, |_| {
            Err(io::Error::other("this manifest is read without its folder"))
        })
    }

    /// Reads a `capsule.toml`, and with `read` the file that its `readme` names: a path relative
    /// to the project's folder. `read` need not give more than one byte above
    /// [`MAX_README_BYTES`]. Keys that are not known are refused, since a misspelt limit would
    /// otherwise be no limit.
    pub fn from_project(
        toml: &str,
        read: impl FnOnce(&str) -> io::Result<Vec<u8>>,
    ) -> Result<Self, ManifestError> {
        let mut manifest: Self =
            toml::from_str(toml).map_err(|error| ManifestError::new(toml, &error))?;
        if let Some(path) = manifest.readme.take() {
            let text = readme::text(&path, read).map_err(|error| ManifestError {
                location: readme::location(toml),
                problem: error.to_string(),
            })?;
            manifest.readme = Some(text);
        }
        Ok(manifest)
    }
}

fn asks_nothing(limits: &LimitsAsked) -> bool {
    *limits == LimitsAsked::default()
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
    fn the_new_fields_round_trip() {
        let toml = format!(
            "{GOOD}license = \"(MIT OR Apache-2.0) AND LicenseRef-art\"
repository = \"https://git.example/a/b\"
keywords = [\"greeting\", \"i18n\"]
readme = \"README.md\"
[capabilities]
kv = {{ quota-kib = 64 }}
[[capabilities.http]]
origin = \"https://*.example.com\"
methods = [\"GET\"]
paths = [\"/**\"]
why = \"One.\"
"
        );
        let manifest = Manifest::from_project(&toml, |path| {
            assert_eq!(path, "README.md");
            Ok(b"# Hello\r\n".to_vec())
        });
        let manifest = manifest.unwrap();
        assert_eq!(manifest.readme.as_deref(), Some("# Hello\n"));
        assert!(!manifest.capabilities.is_empty());
        let json = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);

        // What a capsule holds was never `capsule.toml`: the same rules are applied again.
        for (from, to) in [
            ("# Hello", "\u{9b}"),
            ("git.example", "GIT.example"),
            ("greeting", "i18n"),
            ("LicenseRef-art", "all rights"),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json);
            assert!(
                serde_json::from_str::<Manifest>(&changed).is_err(),
                "{changed}"
            );
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
