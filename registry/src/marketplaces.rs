//! The marketplaces that a machine knows, each with the key of its log: a file that `soma
//! marketplace` writes and a host reads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use url::Url;

use crate::client::{ClientError, Marketplace, check_address};
use crate::log::LogKey;
use crate::owner_only;

/// The file's name within a data folder.
pub const MARKETPLACES_FILE: &str = "marketplaces.toml";

/// The marketplaces, in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marketplaces {
    #[serde(default, rename = "marketplace", skip_serializing_if = "Vec::is_empty")]
    all: Vec<PinnedMarketplace>,
}

/// A marketplace, and the key that its log is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedMarketplace {
    /// Where it is.
    pub url: Url,
    /// The key of its log.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub key: LogKey,
}

/// A file of marketplaces that cannot be read, or be made so.
#[derive(Debug, thiserror::Error)]
pub enum MarketplacesError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no such file.
    #[error("{} is not a list of marketplaces: {error}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        error: toml::de::Error,
    },
    /// No marketplace can be there.
    #[error(transparent)]
    Address(#[from] ClientError),
    /// Two of one log, or at one address: which is asked would be chance.
    #[error("there is a marketplace with the {0} already; remove it first")]
    Twice(String),
    /// It cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It has no form in TOML.
    #[error("the list of marketplaces cannot be written: {0}")]
    Toml(#[from] toml::ser::Error),
}

impl PinnedMarketplace {
    /// A client of it.
    pub fn client(&self) -> Result<Marketplace, ClientError> {
        Marketplace::new(self.url.clone(), self.key.clone())
    }
}

impl Marketplaces {
    /// Reads the file; where there is none, no marketplace is known.
    pub fn read(path: &Path) -> Result<Self, MarketplacesError> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.map_err(|error| MarketplacesError::Read {
                path: path.to_owned(),
                error,
            })?,
        };
        let read: Self = toml::from_str(&text).map_err(|error| MarketplacesError::Form {
            path: path.to_owned(),
            error,
        })?;
        // Whoever edits the file by hand is held to the same rules.
        let mut checked = Self::default();
        for known in read.all {
            checked.add(known)?;
        }
        Ok(checked)
    }

    /// Writes the file: whole or not at all, and for its owner only, since who can change it
    /// chooses whose capsules run.
    pub fn write(&self, path: &Path) -> Result<(), MarketplacesError> {
        let text = toml::to_string(self)?;
        // It may be the data folder of a host to be, which wants it for itself.
        let made = path.parent().map_or(Ok(()), owner_only::make_folder);
        let written = made.and_then(|()| owner_only::replace(path, text.as_bytes()));
        written.map_err(|error| MarketplacesError::Write {
            path: path.to_owned(),
            error,
        })
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, PinnedMarketplace> {
        self.all.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one at this address.
    pub fn at(&self, url: &Url) -> Option<&PinnedMarketplace> {
        self.all.iter().find(|known| known.url == *url)
    }

    /// The one whose log has this origin.
    pub fn of(&self, origin: &str) -> Option<&PinnedMarketplace> {
        self.all.iter().find(|known| known.key.origin() == origin)
    }

    /// Adds one at the end.
    pub fn add(&mut self, known: PinnedMarketplace) -> Result<(), MarketplacesError> {
        check_address(&known.url)?;
        let twice = if self.at(&known.url).is_some() {
            Some(format!("address {}", known.url))
        } else if self.of(known.key.origin()).is_some() {
            Some(format!("log `{}`", known.key.origin()))
        } else {
            None
        };
        if let Some(twice) = twice {
            return Err(MarketplacesError::Twice(twice));
        }
        self.all.push(known);
        Ok(())
    }

    /// Removes the one at this address; says whether there was one.
    pub fn remove(&mut self, url: &Url) -> bool {
        let before = self.all.len();
        self.all.retain(|known| known.url != *url);
        self.all.len() < before
    }
}

fn write_key<S: Serializer>(key: &LogKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogKey, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::key::SecretKey;
    use crate::log::NoteSecret;

    fn known(url: &str, origin: &str) -> PinnedMarketplace {
        let secret = NoteSecret::new(origin, SecretKey::generate().unwrap()).unwrap();
        PinnedMarketplace {
            url: url.parse().unwrap(),
            key: secret.log_key(),
        }
    }

    #[test]
    fn come_back_as_they_were_written_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data").join(MARKETPLACES_FILE);
        assert!(Marketplaces::read(&path).unwrap().is_empty());
        let mut marketplaces = Marketplaces::default();
        let (one, two) = (
            known("https://one.example", "one"),
            known("http://127.0.0.1:1", "two"),
        );
        marketplaces.add(one.clone()).unwrap();
        marketplaces.add(two.clone()).unwrap();
        for again in [
            known("https://one.example/", "three"),
            known("https://four.example", "two"),
        ] {
            assert!(matches!(
                marketplaces.add(again),
                Err(MarketplacesError::Twice(_))
            ));
        }
        assert!(
            marketplaces
                .add(known("http://far.example", "far"))
                .is_err()
        );
        marketplaces.write(&path).unwrap();
        marketplaces.write(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut read = Marketplaces::read(&path).unwrap();
        assert_eq!(read, marketplaces);
        assert_eq!(read.of("two"), Some(&two));
        assert!(read.remove(&one.url) && !read.remove(&one.url));

        for (text, part) in [
            (
                "[[marketplace]]\nurl = 'https://a.example'\nkey = 'x'",
                "a key is",
            ),
            (
                "[[marketplace]]\nurl = 'https://a.example'",
                "missing field",
            ),
            ("[[market]]", "unknown field"),
        ] {
            fs::write(&path, text).unwrap();
            let message = Marketplaces::read(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
