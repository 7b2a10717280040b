//! Header fields.

use crate::bindings::soma::capsule::http as wit;

/// Header fields in the order in which they came (RFC 9110 §5). A name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first field of this name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All fields of this name, in whatever case.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }
}

impl From<Vec<wit::Header>> for Headers {
    fn from(headers: Vec<wit::Header>) -> Self {
        Self(
            headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
        )
    }
}

impl From<Headers> for Vec<wit::Header> {
    fn from(headers: Headers) -> Self {
        headers
            .0
            .into_iter()
            .map(|(name, value)| wit::Header { name, value })
            .collect()
    }
}
