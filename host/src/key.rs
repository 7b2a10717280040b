//! API keys: `soma_<id>_<secret>`. The id is public and finds the row; the secret is 32 random
//! bytes, shown once and stored as its sha256.
//!
//! A slow password hash would add nothing here: it defends secrets that can be guessed, and
//! 256 random bits cannot be, at any speed. A fast one keeps checking a key off the clock of a
//! call.

use std::fmt;
use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// What every key begins with.
pub const PREFIX: &str = "soma_";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// A whole key, as its owner holds it. `Debug` shows none of it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    id: String,
    text: SecretString,
}

/// The sha256 of a key's secret, in hex.
#[derive(Clone, Debug)]
pub(crate) struct SecretHash([u8; 32]);

/// A text that is not a key.
#[derive(Debug, thiserror::Error)]
#[error("a key is `soma_`, 16 hex digits, `_` and 64 hex digits")]
pub struct KeyError;

impl ApiKey {
    /// A new key; a new secret for `id`, where one is given.
    pub(crate) fn generate(id: Option<&str>) -> Result<Self, getrandom::Error> {
        let mut random = [0; ID_BYTES + SECRET_BYTES];
        getrandom::fill(&mut random)?;
        let (new_id, secret) = random.split_at(ID_BYTES);
        let id = id.map_or_else(|| hex::encode(new_id), str::to_owned);
        let text = format!("{PREFIX}{id}_{}", hex::encode(secret)).into();
        Ok(Self { id, text })
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, for the one who is to hold it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    pub(crate) fn hash(&self) -> SecretHash {
        let secret = &self.expose()[PREFIX.len() + self.id.len() + 1..];
        SecretHash(Sha256::digest(secret).into())
    }
}

/// Whether it can be the public part of a key.
pub fn is_id(text: &str) -> bool {
    is_hex(text, ID_BYTES)
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for ApiKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
        {
            Some((id, secret)) if is_id(id) && is_hex(secret, SECRET_BYTES) => Ok(Self {
                id: id.to_owned(),
                text: text.into(),
            }),
            _ => Err(KeyError),
        }
    }
}

impl SecretHash {
    /// Compares without telling by its time how much is alike.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for SecretHash {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// One thing a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Run the host: every tenant, every key.
    Admin,
    /// Install and uninstall the tenant's capsules.
    Install,
    /// Call the tenant's tools.
    Invoke,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Scope>", from = "Vec<Scope>")]
pub struct Scopes {
    pub(crate) admin: bool,
    pub(crate) install: bool,
    pub(crate) invoke: bool,
}

impl Scopes {
    /// Every one.
    pub const ALL: Self = Self {
        admin: true,
        install: true,
        invoke: true,
    };
    /// Calling tools, and nothing else.
    pub const INVOKE: Self = Self {
        admin: false,
        install: false,
        invoke: true,
    };

    pub(crate) fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::Admin => self.admin,
            Scope::Install => self.install,
            Scope::Invoke => self.invoke,
        }
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        Self {
            admin: scopes.contains(&Scope::Admin),
            install: scopes.contains(&Scope::Install),
            invoke: scopes.contains(&Scope::Invoke),
        }
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        let all = [Scope::Admin, Scope::Install, Scope::Invoke];
        all.into_iter().filter(|scope| scopes.has(*scope)).collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admin => "admin",
            Self::Install => "install",
            Self::Invoke => "invoke",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_shows_nothing() {
        let key = ApiKey::generate(None).unwrap();
        let read: ApiKey = key.expose().parse().unwrap();
        assert_eq!(read.id(), key.id());
        assert!(read.hash().matches(&key.hash()));
        assert!(!format!("{key:?}").contains(&key.expose()[22..]));

        let other = ApiKey::generate(Some(key.id())).unwrap();
        assert_eq!(other.id(), key.id());
        assert!(!other.hash().matches(&key.hash()));
        for bad in [
            "",
            "soma_",
            "soma_a_b",
            &key.expose().to_uppercase(),
            &key.expose()[1..],
        ] {
            assert!(bad.parse::<ApiKey>().is_err(), "{bad}");
        }
    }
}
