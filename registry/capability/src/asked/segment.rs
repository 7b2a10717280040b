//! One segment of a path template.

use std::fmt;

use super::path::TemplateError;
use super::request_path::{is_plain, normalise_path};

pub(super) const MAX_PLACEHOLDER: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Segment {
    /// Empty only where the template ends with `/`.
    Literal(String),
    One(String),
    Encoded(String),
}

impl Segment {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.contains(['{', '}']) {
            return Self::placeholder(text).ok_or(TemplateError::Placeholder);
        }
        if text.contains('*') {
            return Err(TemplateError::Star);
        }
        let normal = normalise_path(&format!("/{text}"))?.split_off(1);
        if normal != text {
            let given = text.escape_debug().to_string();
            return Err(TemplateError::NotNormal { given, normal });
        }
        if !is_plain(text) {
            return Err(TemplateError::Encoded);
        }
        Ok(Self::Literal(normal))
    }

    fn placeholder(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        let (name, encoded) = match inner.split_once(':') {
            Some((name, "encoded")) => (name, true),
            Some(_) => return None,
            None => (inner, false),
        };
        let well_formed = (1..=MAX_PLACEHOLDER).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        let name = well_formed.then(|| name.to_owned())?;
        Some(if encoded {
            Self::Encoded(name)
        } else {
            Self::One(name)
        })
    }

    /// The name, where it is a placeholder.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::One(name) | Self::Encoded(name) => Some(name),
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::One(_) => !text.is_empty() && is_plain(text),
            Self::Encoded(_) => !text.is_empty(),
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(mine), Self::Literal(theirs)) => mine == theirs,
            (Self::One(_) | Self::Encoded(_), Self::Literal(theirs)) => !theirs.is_empty(),
            (Self::One(_) | Self::Encoded(_), Self::One(_)) => true,
            (Self::Encoded(_), Self::Encoded(_)) => true,
            (Self::Literal(_), Self::One(_) | Self::Encoded(_))
            | (Self::One(_), Self::Encoded(_)) => false,
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::One(name) => write!(f, "{{{name}}}"),
            Self::Encoded(name) => write!(f, "{{{name}:encoded}}"),
        }
    }
}
