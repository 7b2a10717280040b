//! The keys that sign notes: a log's and a witness's, in C2SP's texts.
//! <https://c2sp.org/signed-note>

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{StandardSigner, StandardVerifier, is_key_name_valid, key_id};

use crate::key::{KeyError, PublicKey, SecretKey};

/// The byte that says: an Ed25519 signature over the note's text.
pub(super) const ED25519: u8 = 0x01;
/// The byte that says: a timestamped Ed25519 cosignature. <https://c2sp.org/tlog-cosignature>
pub(super) const COSIGNATURE: u8 = 0x04;
const MAX_NAME: usize = 255;
const SECRET_PREFIX: &str = "PRIVATE+KEY+";

/// A log's public key as it is pinned: `origin+hash+key`, a C2SP vkey. The name in it is the
/// log's origin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogKey {
    origin: String,
    public: PublicKey,
}

/// The secret half of a log's or a witness's key, with its name.
#[derive(Clone)]
pub struct NoteSecret {
    name: String,
    key: SecretKey,
}

/// Why a text is not such a key.
#[derive(Debug, thiserror::Error)]
pub enum NoteKeyError {
    /// Not three parts.
    #[error("a key is `name+8 hex digits+base64`, as `soma marketplace serve` prints it")]
    Form,
    /// The name breaks C2SP's rules, or is long.
    #[error("a key's name has 1 to {MAX_NAME} printable characters without spaces and `+`")]
    Name,
    /// The hash does not fit name and key.
    #[error("the hash in the key does not fit: it was cut or changed")]
    Hash,
    /// Another type of key.
    #[error("the key has type {found:#04x}; here it must be {wanted:#04x}")]
    Type {
        /// The type in the text.
        found: u8,
        /// The type that is needed.
        wanted: u8,
    },
    /// The bytes are no key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl LogKey {
    /// The log's origin: the first line of its checkpoints.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key itself.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    pub(super) fn verifier(&self) -> Result<StandardVerifier, NoteKeyError> {
        StandardVerifier::new(&self.to_string()).map_err(|_| NoteKeyError::Form)
    }
}

impl NoteSecret {
    /// Gives a key its name.
    pub fn new(name: impl Into<String>, key: SecretKey) -> Result<Self, NoteKeyError> {
        let name = checked_name(&name.into())?;
        Ok(Self { name, key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// What others pin, where it is a log's.
    pub fn log_key(&self) -> LogKey {
        LogKey {
            origin: self.name.clone(),
            public: self.key.public(),
        }
    }

    /// The whole secret as one text, in the form of Go's note package. Whoever has it is the log.
    pub fn expose(&self) -> String {
        let public = key_bytes(ED25519, self.key.public().as_bytes());
        let secret = key_bytes(ED25519, self.key.seed());
        format!(
            "{SECRET_PREFIX}{}+{:08x}+{}",
            self.name,
            key_id(&self.name, &public),
            STANDARD.encode(secret)
        )
    }

    pub(super) fn signer(&self) -> Result<StandardSigner, NoteKeyError> {
        let signer = StandardSigner::new(&self.expose()).map_err(|_| NoteKeyError::Form)?;
        Ok(signer)
    }
}

fn checked_name(name: &str) -> Result<String, NoteKeyError> {
    let fits = name.len() <= MAX_NAME
        && is_key_name_valid(name)
        && !name.chars().any(char::is_control)
        && name.is_ascii();
    fits.then(|| name.to_owned()).ok_or(NoteKeyError::Name)
}

fn key_bytes(kind: u8, key: &[u8; 32]) -> Vec<u8> {
    [&[kind], key.as_slice()].concat()
}

/// The four bytes that name a key in a signature line.
pub(super) fn id(name: &str, kind: u8, key: &PublicKey) -> u32 {
    key_id(name, &key_bytes(kind, key.as_bytes()))
}

/// `name+hash+base64`.
pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    kind: u8,
    key: &PublicKey,
) -> fmt::Result {
    let text = STANDARD.encode(key_bytes(kind, key.as_bytes()));
    write!(f, "{name}+{:08x}+{text}", id(name, kind, key))
}

/// Reads a key that must have this type.
pub(super) fn read(text: &str, wanted: u8) -> Result<(String, PublicKey), NoteKeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteKeyError::Form);
    };
    let name = checked_name(name)?;
    let bytes = STANDARD.decode(key).map_err(|_| NoteKeyError::Form)?;
    let Some((&found, key)) = bytes.split_first() else {
        return Err(NoteKeyError::Form);
    };
    if found != wanted {
        return Err(NoteKeyError::Type { found, wanted });
    }
    let key = key.try_into().map_err(|_| NoteKeyError::Form)?;
    let key = PublicKey::from_bytes(key)?;
    if hash != format!("{:08x}", id(&name, wanted, &key)) {
        return Err(NoteKeyError::Hash);
    }
    Ok((name, key))
}

impl FromStr for NoteSecret {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        let text = text.strip_prefix(SECRET_PREFIX).ok_or(NoteKeyError::Form)?;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteKeyError::Form);
        };
        let bytes = STANDARD.decode(key).map_err(|_| NoteKeyError::Form)?;
        let Some((&ED25519, seed)) = bytes.split_first() else {
            return Err(NoteKeyError::Form);
        };
        let seed = seed.try_into().map_err(|_| NoteKeyError::Form)?;
        let secret = Self::new(name, SecretKey::from_seed(seed))?;
        let public = secret.key.public();
        if hash != format!("{:08x}", id(name, ED25519, &public)) {
            return Err(NoteKeyError::Hash);
        }
        Ok(secret)
    }
}

impl FromStr for LogKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        let (origin, public) = read(text, ED25519)?;
        Ok(Self { origin, public })
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.origin, ED25519, &self.public)
    }
}

impl fmt::Debug for NoteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSecret of {}", self.log_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_specification_s_key_and_refuses_changed_ones() {
        // The example of golang.org/x/mod/sumdb/note.
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: LogKey = text.parse().unwrap();
        assert_eq!(key.origin(), "PeterNeumann");
        assert_eq!(key.to_string(), text);
        for (changed, part) in [
            (text.replace("c74f", "c74e"), "hash in the key"),
            (text.replace("Peter", "Pater"), "hash in the key"),
            (text.replace("+ARp", "+BBp"), "type 0x04"),
            (text.replace('N', " N"), "without spaces"),
            (text.replace("44TW", ""), "hash in the key"),
            ("x+y".to_owned(), "name+8 hex digits"),
            (String::new(), "name+8 hex digits"),
        ] {
            if changed == text {
                continue;
            }
            let message = changed.parse::<LogKey>().unwrap_err().to_string();
            assert!(message.contains(part), "{changed}: {message}");
        }
    }
}
