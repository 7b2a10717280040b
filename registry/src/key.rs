//! Ed25519 keys of publishers: the public half as one text, the secret half silent.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

const PREFIX: &str = "ed25519:";

/// A publisher's public key, written `ed25519:` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PublicKey([u8; 32]);

/// A text that is not a public key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the prefix and the digits.
    #[error("a public key is `ed25519:` and 64 lower-case hex digits")]
    Form,
    /// 32 bytes that no secret key belongs to, or whose signatures anyone could make.
    #[error("these 32 bytes are not a usable Ed25519 public key")]
    Weak,
}

/// The secret half. `Debug` shows the public one; the memory is cleared when it goes.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl PublicKey {
    /// Takes the 32 bytes of a key, where they are one.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Weak)?;
        // Small-order keys: one signature would fit every message.
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl SecretKey {
    /// A new key from the system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that belongs to a seed (RFC 8032's 32-byte private key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed. Whoever has it is the publisher.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix(PREFIX).ok_or(KeyError::Form)?;
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(KeyError::Form);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| KeyError::Form)?;
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_for_a_key_and_none_for_a_weak_one() {
        // RFC 8032, section 7.1, test 1.
        let mut seed = [0; 32];
        hex::decode_to_slice(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            &mut seed,
        )
        .unwrap();
        let public = SecretKey::from_seed(&seed).public();
        let text = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(public.to_string(), text);
        assert_eq!(text.parse(), Ok(public));
        assert_eq!(
            text.to_uppercase().parse::<PublicKey>(),
            Err(KeyError::Form)
        );
        assert_eq!(text[..70].parse::<PublicKey>(), Err(KeyError::Form));
        let neutral = format!("ed25519:01{}", "0".repeat(62));
        assert_eq!(neutral.parse::<PublicKey>(), Err(KeyError::Weak));
        assert!(!format!("{:?}", SecretKey::from_seed(&seed)).contains("9d61b19d"));
    }
}
