//! Which version of which capsule somebody means: `NAMESPACE/NAME`, `NAMESPACE/NAME@1.2.3` or
//! `NAMESPACE/NAME@^1.2`.

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};
use soma_capability::{CapsuleName, NameError};

use crate::index::Release;

/// A capsule, and which of its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSpec {
    /// The capsule.
    pub capsule: CapsuleName,
    wanted: Wanted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    Exactly(Version),
    Fitting(VersionReq),
}

/// A text that means no version of any capsule.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// What is before the `@`.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What is behind it.
    #[error(
        "`{text}` is neither a version nor a requirement: {error}; write it as in 1.2.3, ^1.2 or \
         \">=1, <3\""
    )]
    Version {
        /// The text.
        text: String,
        /// What is wrong with it.
        error: semver::Error,
    },
}

impl PackageSpec {
    /// The one version that is meant, where it is one.
    pub fn version(&self) -> Option<&Version> {
        match &self.wanted {
            Wanted::Exactly(version) => Some(version),
            Wanted::Any | Wanted::Fitting(_) => None,
        }
    }

    /// Whether a version fits. Where nothing is said, no pre-release does.
    pub fn matches(&self, version: &Version) -> bool {
        match &self.wanted {
            Wanted::Any => version.pre.is_empty(),
            // Of builds there is one; whoever names none means that.
            Wanted::Exactly(wanted) if wanted.build.is_empty() => {
                wanted.cmp_precedence(version).is_eq()
            }
            Wanted::Exactly(wanted) => wanted == version,
            Wanted::Fitting(requirement) => requirement.matches(version),
        }
    }

    /// The newest that fits and may be chosen; the one that is named, however it stands.
    pub fn choose<'a>(
        &self,
        releases: impl IntoIterator<Item = &'a Release>,
    ) -> Option<&'a Release> {
        let named = self.version().is_some();
        releases
            .into_iter()
            .filter(|release| self.matches(&release.version))
            .filter(|release| named || release.standing.is_current())
            .max_by(|a, b| a.version.cmp(&b.version))
    }
}

impl From<CapsuleName> for PackageSpec {
    fn from(capsule: CapsuleName) -> Self {
        Self {
            capsule,
            wanted: Wanted::Any,
        }
    }
}

impl FromStr for PackageSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let Some((name, wanted)) = text.split_once('@') else {
            return Ok(text.parse::<CapsuleName>()?.into());
        };
        let capsule = name.parse()?;
        let wanted = match Version::parse(wanted) {
            Ok(version) => Wanted::Exactly(version),
            Err(_) => {
                let requirement = VersionReq::parse(wanted);
                Wanted::Fitting(requirement.map_err(|error| SpecError::Version {
                    text: wanted.escape_debug().take(80).collect(),
                    error,
                })?)
            }
        };
        Ok(Self { capsule, wanted })
    }
}

impl fmt::Display for PackageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.capsule.fmt(f)?;
        match &self.wanted {
            Wanted::Any => Ok(()),
            Wanted::Exactly(version) => write!(f, "@{version}"),
            Wanted::Fitting(requirement) => write!(f, "@{requirement}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use soma_capability::Digest;

    use super::*;
    use crate::index::Standing;
    use crate::key::SecretKey;

    fn spec(text: &str) -> PackageSpec {
        text.parse().unwrap()
    }

    fn release(version: &str, standing: Standing) -> Release {
        Release {
            capsule: "acme/web".parse().unwrap(),
            version: version.parse().unwrap(),
            digest: Digest::of(b""),
            statement: Digest::of(b""),
            account: "ada".parse().unwrap(),
            key: SecretKey::generate().unwrap().public(),
            leaf: 0,
            published: 0,
            standing,
            newest: None,
        }
    }

    #[test]
    fn reads_names_versions_and_requirements_and_nothing_else() {
        for text in [
            "acme/web",
            "acme/web@1.2.3",
            "acme/web@^1.2",
            "acme/web@>=1, <3",
        ] {
            assert_eq!(spec(text).to_string(), text);
        }
        assert_eq!(spec("acme/web@1.2").to_string(), "acme/web@^1.2");
        assert_eq!(spec("acme/web@1.2.3").version().unwrap().minor, 2);
        assert_eq!(spec("acme/web@=1.2.3").version(), None);
        for bad in [
            "",
            "web",
            "acme/web@",
            "acme/web@one",
            "a/b@1@2",
            "../x@1.0.0",
            "acme/web@1.0.0\u{1b}",
        ] {
            let refused = bad.parse::<PackageSpec>().unwrap_err().to_string();
            assert!(!refused.contains('\u{1b}'), "{refused}");
        }
    }

    #[test]
    fn chooses_the_newest_that_may_be_chosen() {
        let all = [
            release("1.0.0", Standing::Current),
            release("1.10.0", Standing::Current),
            release("1.9.0", Standing::Current),
            release("1.11.0", Standing::Yanked),
            release("2.0.0-rc.1", Standing::Current),
            release("3.0.0-rc.1+build", Standing::Current),
        ];
        let chosen = |text: &str| {
            let chosen = spec(text).choose(&all);
            chosen.map(|release| release.version.to_string())
        };
        assert_eq!(chosen("acme/web").as_deref(), Some("1.10.0"));
        assert_eq!(chosen("acme/web@~1.9").as_deref(), Some("1.9.0"));
        assert_eq!(chosen("acme/web@1.11.0").as_deref(), Some("1.11.0"));
        assert_eq!(chosen("acme/web@2").as_deref(), None);
        assert_eq!(chosen("acme/web@2.0.0-rc.1").as_deref(), Some("2.0.0-rc.1"));
        let built = Some("3.0.0-rc.1+build");
        assert_eq!(chosen("acme/web@3.0.0-rc.1").as_deref(), built);
        assert_eq!(chosen("acme/web@3.0.0-rc.1+build").as_deref(), built);
        assert_eq!(chosen("acme/web@3.0.0-rc.1+other").as_deref(), None);
    }
}
