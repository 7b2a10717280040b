//! What each field of a manifest may hold.

use std::collections::BTreeSet;

use semver::Version;
use serde::{Deserialize, Deserializer, de::Error as _};
use soma_capability::LimitsAsked;
use url::Url;

use super::readme::MAX_README_BYTES;
use crate::text;

const MAX_LICENSE: usize = 128;
const MAX_REPOSITORY: usize = 256;
const MAX_KEYWORDS: usize = 8;
const MAX_KEYWORD: usize = 32;

pub(super) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::line(&text, 64).map_err(|e| D::Error::custom(format_args!("the version {e}")))?;
    Version::parse(&text).map_err(|e| {
        D::Error::custom(format_args!(
            "`{text}` is not a version: {e}; write it as in \"0.1.0\""
        ))
    })
}

pub(super) fn description<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::prose(&text, 1024).map_err(|e| D::Error::custom(format_args!("the description {e}")))?;
    if text.trim().is_empty() {
        return Err(D::Error::custom(
            "the description is empty; say in a sentence what the capsule is for",
        ));
    }
    Ok(text)
}

pub(super) fn license<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::line(&text, MAX_LICENSE)
        .map_err(|e| D::Error::custom(format_args!("the licence {e}")))?;
    let wrong = |problem: &dyn std::fmt::Display| {
        D::Error::custom(format_args!(
            "`{text}` is not an SPDX licence expression: {problem}; write it as in \"MIT OR Apache-2.0\""
        ))
    };
    if !text.is_ascii() {
        return Err(wrong(&"it has characters that no licence's identifier has"));
    }
    spdx::Expression::parse(&text).map_err(|e| wrong(&e.reason))?;
    Ok(Some(text))
}

pub(super) fn repository<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text::line(&text, MAX_REPOSITORY)
        .map_err(|e| D::Error::custom(format_args!("the repository {e}")))?;
    let url = Url::parse(&text).ok().filter(|url| {
        url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    match url {
        Some(url) if url.as_str() == text => Ok(Some(text)),
        Some(url) => Err(D::Error::custom(format_args!(
            "the repository is written `{url}`"
        ))),
        None => Err(D::Error::custom(format_args!(
            "`{text}` is not where a repository can be: write an https URL without user and fragment"
        ))),
    }
}

pub(super) fn keywords<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let keywords = Vec::<String>::deserialize(deserializer)?;
    if keywords.len() > MAX_KEYWORDS {
        return Err(D::Error::custom(format_args!(
            "here are {} keywords; at most {MAX_KEYWORDS} are allowed",
            keywords.len()
        )));
    }
    let mut seen = BTreeSet::new();
    for keyword in &keywords {
        if !is_keyword(keyword) {
            let shown = keyword.chars().take(80).flat_map(char::escape_debug);
            return Err(D::Error::custom(format_args!(
                "`{}` is not a keyword: 1 to {MAX_KEYWORD} characters of a-z, 0-9 and `-`, the first and the last no `-`",
                shown.collect::<String>()
            )));
        }
        if !seen.insert(keyword) {
            return Err(D::Error::custom(format_args!(
                "the keyword `{keyword}` is there twice"
            )));
        }
    }
    Ok(keywords)
}

fn is_keyword(text: &str) -> bool {
    (1..=MAX_KEYWORD).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

pub(super) fn readme<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > MAX_README_BYTES {
        return Err(D::Error::custom(format_args!(
            "the readme has {} bytes; at most {MAX_README_BYTES} are allowed",
            text.len()
        )));
    }
    text::prose(&text, MAX_README_BYTES)
        .map_err(|e| D::Error::custom(format_args!("the readme {e}")))?;
    if text.trim().is_empty() {
        return Err(D::Error::custom("the readme is empty; leave it out"));
    }
    Ok(Some(text))
}

/// The largest whole number that RFC 8785's numbers, which are doubles, hold exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

pub(super) fn limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LimitsAsked, D::Error> {
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

#[cfg(test)]
mod tests {
    use crate::Manifest;

    const GOOD: &str =
        "name = \"local/hello\"\nversion = \"0.1.0\"\ndescription = \"Says hello.\"\n";

    #[test]
    fn errors_point_into_the_file() {
        let http = "[[capabilities.http]]\norigin = \"https://a.example\"\nmethods = [\"GET\"]\npaths = [\"/\"]\nwhy = \"One.\"\n";
        for (lines, start) in [
            (
                "license = \"MIT/X11\"",
                "line 4, column 11: `MIT/X11` is not an SPDX licence expression",
            ),
            (
                "license = \"GPL-3.0\"",
                "line 4, column 11: `GPL-3.0` is not an SPDX licence expression: a deprecated",
            ),
            ("license = \"\"", "line 4, column 11: `` is not"),
            ("license = \"Größe\"", "line 4, column 11: `Größe` is not"),
            (
                "license = \"MIT\\u001b\"",
                "line 4, column 11: the licence has the control",
            ),
            (
                "repository = \"http://a.example\"",
                "line 4, column 14: `http://a.example` is not",
            ),
            (
                "repository = \"https://u:p@a.example/\"",
                "line 4, column 14: `https://u:p@a.example/` is not",
            ),
            (
                "repository = \"https://A.example/b\"",
                "line 4, column 14: the repository is written `https://a.example/b`",
            ),
            ("repository = \"a\"", "line 4, column 14: `a` is not"),
            (
                "keywords = [\"a\", \"a\"]",
                "line 4, column 12: the keyword `a` is there twice",
            ),
            (
                "keywords = [\"A b\"]",
                "line 4, column 12: `A b` is not a keyword",
            ),
            ("keywords = [\"a\", 1]", "line 4, column 18: invalid type"),
            (
                "keywords = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]",
                "line 4, column 12: here are 9 keywords",
            ),
            (
                "\n  readme = \"../README.md\"",
                "line 5, column 12: `../README.md` is not a path inside",
            ),
            (
                "readme = \"README.md\"",
                "line 4, column 10: cannot read README.md: this manifest is read without",
            ),
            (
                &http.replace("GET", "get"),
                "line 6, column 11: `get` is not a method",
            ),
            (
                &http.replace("a.example", "A.example"),
                "line 5, column 10: `https://A.example` is written",
            ),
            (
                &http.replace("\"/\"", "\"/{id\""),
                "line 7, column 9: the path `/{id`: a placeholder",
            ),
            (
                &http.replace("One.", ""),
                "line 8, column 7: the reason is empty",
            ),
            (
                "[capabilities]\nkv = { quota-kib = 0 }",
                "line 5, column 20: `quota-kib` must be",
            ),
        ] {
            let refused = Manifest::from_toml(&format!("{GOOD}{lines}"));
            let message = refused.unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }
}
