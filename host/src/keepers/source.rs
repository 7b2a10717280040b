//! Which value a credential is, of those that a keeper has for its tenant.

use std::fmt;

use serde::{Deserialize, Serialize};
use soma_capability::CredentialName;

/// Where a value is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Source {
    /// A variable of the host's environment.
    Env { name: CredentialName },
    /// A file that is mounted where the host runs.
    File { name: CredentialName },
    /// A field of a secret in a KV engine of Vault's.
    VaultKv {
        /// Below the tenant's own folder.
        path: String,
        field: String,
    },
    /// User and password that a database engine of Vault's makes for a while.
    VaultDatabase { role: String },
}

impl Source {
    /// Says what is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Env { .. } | Self::File { .. } => Ok(()),
            Self::VaultKv { path, field } => {
                if path.len() > 256 || !path.split('/').all(is_segment) {
                    return Err(format!(
                        "{path:?} is no path in Vault: letters, digits, `-`, `_` and `.` between single `/`"
                    ));
                }
                if !(1..=128).contains(&field.len()) || field.chars().any(char::is_control) {
                    return Err(format!("{field:?} is no field of a secret in Vault"));
                }
                Ok(())
            }
            Self::VaultDatabase { role } if !is_segment(role) => Err(format!(
                "{role:?} is no role in Vault: letters, digits, `-`, `_` and `.`"
            )),
            Self::VaultDatabase { .. } => Ok(()),
        }
    }

    /// Whether it has a user besides the password.
    pub(crate) fn has_user(&self) -> bool {
        matches!(self, Self::VaultDatabase { .. })
    }
}

/// Whether it is one part of a path, and leads nowhere but down.
fn is_segment(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(fits) && text.bytes().any(|b| b != b'.')
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name } => write!(f, "env:{name}"),
            Self::File { name } => write!(f, "file:{name}"),
            Self::VaultKv { path, field } => write!(f, "vault:{path}#{field}"),
            Self::VaultDatabase { role } => write!(f, "vault-database:{role}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_a_tenants_folder() {
        let kv = |path: &str| Source::VaultKv {
            path: path.to_owned(),
            field: "value".to_owned(),
        };
        for path in ["a", "ci/github", "a.b/c_d-9"] {
            assert_eq!(kv(path).check(), Ok(()), "{path}");
        }
        for path in [
            "", "/a", "a/", "a//b", "..", "../b", "a/../b", "a/.", "a%2f..", "a?b", "a#b", "a b",
            "ä",
        ] {
            assert!(kv(path).check().is_err(), "{path}");
        }
        for role in ["", "a/b", "..", "a b"] {
            let role = role.to_owned();
            assert!(Source::VaultDatabase { role }.check().is_err());
        }
        let silent = Source::VaultKv {
            path: "a".to_owned(),
            field: String::new(),
        };
        assert!(silent.check().is_err());
    }
}
