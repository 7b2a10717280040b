//! The lockfile: exactly which files are to be installed, and which leaf of which log says so.

use std::fs;
use std::io;
use std::path::Path;

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use soma_capability::{CapsuleName, Digest};

use crate::failure::Failure;

const HEAD: &str = "# Written by `soma install --lock`: exactly these files, by these logs.\n\n";

/// All that is locked, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lockfile {
    #[serde(default)]
    capsule: Vec<Locked>,
}

/// One capsule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Locked {
    pub(crate) name: CapsuleName,
    pub(crate) version: Version,
    pub(crate) digest: Digest,
    /// The log's.
    pub(crate) origin: String,
    pub(crate) leaf: u64,
}

impl Lockfile {
    /// Reads it; one that is missing is empty, unless it must be there.
    pub(crate) fn read(path: &Path, must_exist: bool) -> Result<Self, Failure> {
        let shown = path.display();
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
                return Ok(Self::default());
            }
            text => text.map_err(|e| Failure::unreadable(path, e))?,
        };
        toml::from_str(&text)
            .map_err(|e| Failure::usage(format_args!("{shown} is not a lockfile: {e}")))
    }

    /// Puts one in the place of what was locked under its name.
    pub(crate) fn record(&mut self, locked: Locked) {
        self.capsule.retain(|other| other.name != locked.name);
        self.capsule.push(locked);
        self.capsule.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Writes it whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(Failure::failed)?;
        let write = || -> io::Result<()> {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            io::Write::write_all(&mut file, format!("{HEAD}{text}").as_bytes())?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|e| Failure::failed(format_args!("cannot write {}: {e}", path.display())))
    }

    /// All of them.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Locked> {
        self.capsule.iter()
    }
}

impl Locked {
    /// What a host says to have installed.
    pub(crate) fn of(installed: &Value) -> Result<Self, Failure> {
        let members = ["name", "version", "digest", "origin", "leaf"];
        let members = members.map(|name| (name.to_owned(), installed[name].clone()));
        let locked: Value = members.into_iter().collect();
        serde_json::from_value(locked)
            .map_err(|e| Failure::failed(format_args!("the host's answer lacks something: {e}")))
    }

    /// Refuses an answer of a host that is about something else.
    pub(crate) fn require(&self, answer: &Value) -> Result<(), Failure> {
        let found = Self::of(answer)?;
        if found == *self {
            return Ok(());
        }
        let Self {
            name,
            version,
            leaf,
            ..
        } = self;
        Err(Failure::failed(format_args!(
            "{name} {version} is leaf {} of {} now, and the lockfile says leaf {leaf}: it is another \
             log of that name",
            found.leaf, found.origin
        )))
    }

    /// What to ask a host for.
    pub(crate) fn wanted(&self) -> Value {
        json!({
            "package": self.name,
            "version": format!("={}", self.version),
            "digest": self.digest,
            "origin": self.origin,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capsules.lock");
        assert!(Lockfile::read(&path, true).is_err());
        let mut lockfile = Lockfile::read(&path, false).unwrap();
        let locked = |name: &str, leaf| Locked {
            name: name.parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            digest: Digest::of(b""),
            origin: "log.test".to_owned(),
            leaf,
        };
        for locked in [locked("b/b", 1), locked("a/a", 2), locked("b/b", 3)] {
            lockfile.record(locked);
        }
        lockfile.write(&path).unwrap();
        let read = Lockfile::read(&path, true).unwrap();
        assert_eq!(read, lockfile);
        let leaves: Vec<u64> = read.iter().map(|locked| locked.leaf).collect();
        assert_eq!(leaves, [2, 3]);
        fs::write(&path, "[[capsule]]\nname = \"A\"\n").unwrap();
        assert!(Lockfile::read(&path, true).is_err());
    }
}
