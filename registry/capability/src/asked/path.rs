//! Which paths of a server a capsule asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::request_path::{PathError, is_normal, is_plain};
use super::segment::{MAX_PLACEHOLDER, Segment};
use crate::as_text::as_text;

const MAX_BYTES: usize = 1024;
const MAX_SEGMENTS: usize = 32;

/// A template such as `/repos/{owner}/{repo}/issues/**`, of these segments:
///
/// - a text stands for itself, in normalised percent-encoding;
/// - `{id}` is exactly one segment that is not empty and has no encoded `/`, `\` or `%`;
/// - `{id:encoded}` is the same, with those;
/// - `**`, at the end only, is what is there already and everything below it, of any depth.
///
/// A `/` at the end counts: `/a` is not `/a/`. The query is not part of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PathTemplate {
    segments: Vec<Segment>,
    /// Whether `**` follows.
    below: bool,
}

/// Why a text is not a path template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not begin with `/`.
    #[error("a path template begins with `/`")]
    Relative,
    /// Too many bytes or segments.
    #[error("a path template has at most {MAX_BYTES} bytes and {MAX_SEGMENTS} segments")]
    TooLong,
    /// `**` elsewhere than at the end.
    #[error("`**` may only be the last segment")]
    Below,
    /// A `*` in a segment.
    #[error(
        "`*` stands for nothing here: use `{{name}}` for one segment, `**` at the end for all below; the character itself is `%2A`"
    )]
    Star,
    /// Braces that are not a placeholder.
    #[error(
        "a placeholder is a whole segment, `{{name}}` or `{{name:encoded}}`, its name 1 to {MAX_PLACEHOLDER} characters of a-z, 0-9, `_` and `-`"
    )]
    Placeholder,
    /// Two placeholders have one name.
    #[error("two placeholders are called `{0}`")]
    Duplicate(String),
    /// A literal that says the right thing in another form.
    #[error("`{given}` is written `{normal}`")]
    NotNormal {
        /// As it is.
        given: String,
        /// As it should be.
        normal: String,
    },
    /// A literal with an encoded `/`, `\` or `%`.
    #[error("an encoded `/`, `\\` or `%` can only be asked for with `{{name:encoded}}`")]
    Encoded,
    /// A path that no request can have.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl PathTemplate {
    /// Whether a request's path is one of these. A path that is not in its normal form (see
    /// [`normalise_path`](super::normalise_path)) never is.
    pub fn matches(&self, path: &str) -> bool {
        let Some(inner) = path.strip_prefix('/').filter(|_| is_normal(path)) else {
            return false;
        };
        let mut given = inner.split('/');
        let fixed = self
            .segments
            .iter()
            .all(|segment| given.next().is_some_and(|text| segment.matches(text)));
        fixed
            && if self.below {
                given.all(is_plain)
            } else {
                given.next().is_none()
            }
    }

    /// Whether every path that `other` matches is one that this matches too.
    pub fn covers(&self, other: &Self) -> bool {
        let fixed = self.segments.len();
        if other.segments.len() < fixed
            || !self.below && (other.below || other.segments.len() > fixed)
        {
            return false;
        }
        let (head, tail) = other.segments.split_at(fixed);
        self.segments
            .iter()
            .zip(head)
            .all(|(mine, theirs)| mine.covers(theirs))
            && !tail.iter().any(|s| matches!(s, Segment::Encoded(_)))
    }
}

impl FromStr for PathTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let inner = text.strip_prefix('/').ok_or(TemplateError::Relative)?;
        let mut texts: Vec<&str> = inner.split('/').collect();
        if text.len() > MAX_BYTES || texts.len() > MAX_SEGMENTS {
            return Err(TemplateError::TooLong);
        }
        let below = texts.pop_if(|last| *last == "**").is_some();
        if texts.contains(&"**") {
            return Err(TemplateError::Below);
        }
        // Empty is only the end of a path that ends with `/`.
        let full = if below {
            &texts[..]
        } else {
            &texts[..texts.len() - 1]
        };
        if full.contains(&"") {
            return Err(PathError::Empty.into());
        }
        let segments: Vec<Segment> = texts
            .into_iter()
            .map(Segment::parse)
            .collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(twice) = segments
            .iter()
            .filter_map(Segment::name)
            .find(|name| !names.insert(*name))
        {
            return Err(TemplateError::Duplicate(twice.to_owned()));
        }
        Ok(Self { segments, below })
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            write!(f, "/{segment}")?;
        }
        f.write_str(if self.below { "/**" } else { "" })
    }
}

as_text!(PathTemplate, TemplateError);

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn one_canonical_form() {
        for text in [
            "/",
            "/**",
            "/a",
            "/a/",
            "/a/{id}/",
            "/v1/{a}/{b:encoded}/**",
            "/caf%C3%A9/a:b;c,d@e=f",
        ] {
            assert_eq!(template(text).to_string(), text);
        }
        let long = format!("/{}", "a".repeat(MAX_BYTES));
        let deep = "/a".repeat(MAX_SEGMENTS + 1);
        for (text, part) in [
            ("", "begins with `/`"),
            ("a/b", "begins with `/`"),
            ("https://a/b", "begins with `/`"),
            (long.as_str(), "at most 1024 bytes"),
            (deep.as_str(), "32 segments"),
            ("/**/a", "only be the last"),
            ("/**/**", "only be the last"),
            ("/a*", "stands for nothing"),
            ("/*", "stands for nothing"),
            ("/a**", "stands for nothing"),
            ("/a{id}", "whole segment"),
            ("/{}", "whole segment"),
            ("/{ID}", "whole segment"),
            ("/{id", "whole segment"),
            ("/{id:raw}", "whole segment"),
            ("/{a}/{a:encoded}", "two placeholders are called `a`"),
            ("//a", "no empty segments"),
            ("/a//", "no empty segments"),
            ("/a//**", "no empty segments"),
            ("//", "no empty segments"),
            ("/a/../b", "another folder"),
            ("/%2e%2e", "another folder"),
            ("/%61", "`%61` is written `a`"),
            ("/%c3%a9", "written `%C3%A9`"),
            ("/é", "written `%C3%A9`"),
            ("/a b", "written `a%20b`"),
            ("/a\u{202e}b", "`a\\u{202e}b` is written `a%E2%80%AEb`"),
            ("/a%2Fb", "only be asked for with `{name:encoded}`"),
            ("/a%25b", "only be asked for with `{name:encoded}`"),
            ("/a%2", "two hexadecimal digits"),
            ("/a?b", "`?` and `#` end a path"),
            ("/a\nb", "no control characters"),
            ("/a%0Ab", "no control characters"),
        ] {
            let message = text.parse::<PathTemplate>().unwrap_err().to_string();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }

    #[test]
    fn matches_whole_paths_in_normal_form() {
        for (text, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/**", "/", true),
            ("/**", "/a/b/", true),
            ("/**", "/a%2Fb", false),
            ("/a", "/a", true),
            ("/a", "/A", false),
            ("/a", "/a/", false),
            ("/a", "/%61", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a/**", "/a/../b", false),
            ("/a/**", "/a/%2e%2e/b", false),
            ("/a/**", "/a/..%2Fb", false),
            ("/a/**", "/a//b", false),
            ("/{id}", "/x", true),
            ("/{id}", "/", false),
            ("/{id}", "/x/y", false),
            ("/{id}", "/x%2Fy", false),
            ("/{id}", "/x%5Cy", false),
            ("/{id}", "/x%252Fy", false),
            ("/{id:encoded}", "/x%2Fy", true),
            ("/{id:encoded}", "/x%2fy", false),
            ("/{id:encoded}", "/x%2F..%2Fy", false),
            ("/{id:encoded}", "/x", true),
            ("/{id:encoded}", "/", false),
            ("/a/{id}/b", "/a/x/b", true),
            ("/a", "", false),
            ("/a", "a", false),
            ("/a", "/a?b", false),
        ] {
            assert_eq!(template(text).matches(path), expected, "{text} {path}");
        }
    }

    #[test]
    fn covers_only_what_it_matches() {
        for (wide, narrow, expected) in [
            ("/**", "/a/{b}/**", true),
            ("/**", "/{a:encoded}", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/", true),
            ("/a/**", "/**", false),
            ("/{x}", "/{y}", true),
            ("/{x}", "/a", true),
            ("/{x}", "/", false),
            ("/{x}", "/a/**", false),
            ("/{x:encoded}", "/{y}", true),
            ("/{x}", "/{y:encoded}", false),
            ("/a", "/{x}", false),
            ("/a", "/a/b", false),
            ("/a/{x}/**", "/a/**", false),
        ] {
            let covered = template(wide).covers(&template(narrow));
            assert_eq!(covered, expected, "{wide} {narrow}");
        }
    }
}
