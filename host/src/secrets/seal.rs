//! How a value is kept: XChaCha20-Poly1305 under one key of the host's, bound to the tenant and the
//! name that it belongs to, so that a row that was copied to another place opens nothing there.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use soma_capability::CredentialName;
use soma_registry::owner_only;

const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// What of a credential it is: one is not taken for the other.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Value,
    Token,
}

/// Whose a value is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The tenant's id.
    pub(crate) tenant: &'a str,
    pub(crate) name: &'a CredentialName,
    /// The API key that it is for; none is all of the tenant's.
    pub(crate) key: Option<&'a str>,
}

/// Seals values and opens them.
pub(crate) struct Sealer(XChaCha20Poly1305);

/// Why a value that is kept cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsealed {
    /// It was sealed under another key, or changed.
    #[error("the credential `{0}` was sealed under another key than this host's, or is damaged")]
    Damaged(CredentialName),
    /// It cannot be sealed.
    #[error("the credential `{0}` cannot be sealed")]
    Failed(CredentialName),
}

impl Sealer {
    /// Reads the key from its file; makes one where there is none and `may_make`.
    pub(crate) fn open_file(path: &Path, may_make: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        if may_make && !path.exists() {
            make(path).with_context(|| format!("the key for secrets, {shown}"))?;
        }
        let read = || -> anyhow::Result<Self> {
            owner_only::file(path)?;
            let text = Zeroizing::new(fs::read_to_string(path)?);
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            if hex::decode_to_slice(text.trim(), &mut *key).is_err() {
                bail!("it is not {KEY_BYTES} bytes as hex digits");
            }
            Ok(Self(XChaCha20Poly1305::new((&*key).into())))
        };
        read().with_context(|| format!("the key for secrets, {shown}"))
    }

    pub(super) fn seal(
        &self,
        part: Part,
        place: Place<'_>,
        value: &SecretString,
    ) -> Result<String, crate::error::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let bound_to = bound_to(part, place);
        let payload = Payload {
            msg: value.expose_secret().as_bytes(),
            aad: bound_to.as_bytes(),
        };
        let sealed = self.0.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| Unsealed::Failed(place.name.clone()))?;
        Ok(BASE64_STANDARD.encode([&nonce[..], &sealed].concat()))
    }

    /// Whether what a row has opens under this key: its value, or its token where the value is kept
    /// elsewhere.
    pub(crate) fn opens(&self, place: Place<'_>, value: &str, token: Option<&str>) -> bool {
        let token = token.map(|token| (Part::Token, token));
        let mut parts = [Some((Part::Value, value)), token].into_iter().flatten();
        parts.any(|(part, sealed)| self.open(part, place, sealed).is_ok())
    }

    pub(super) fn open(
        &self,
        part: Part,
        place: Place<'_>,
        sealed: &str,
    ) -> Result<SecretString, Unsealed> {
        let damaged = || Unsealed::Damaged(place.name.clone());
        let bytes = BASE64_STANDARD.decode(sealed).map_err(|_| damaged())?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
        let bound_to = bound_to(part, place);
        let payload = Payload {
            msg: sealed,
            aad: bound_to.as_bytes(),
        };
        let opened = self.0.decrypt(XNonce::from_slice(nonce), payload);
        let opened = Zeroizing::new(opened.map_err(|_| damaged())?);
        let text = std::str::from_utf8(&opened).map_err(|_| damaged())?;
        Ok(text.to_owned().into())
    }
}

/// What a value is bound to. Ids and names have no `/`.
fn bound_to(part: Part, place: Place<'_>) -> String {
    let part = match part {
        Part::Value => "secret",
        Part::Token => "token",
    };
    let Place { tenant, name, key } = place;
    match key {
        None => format!("soma/{part}/{tenant}/{name}"),
        Some(key) => format!("soma/{part}/{tenant}/{name}/{key}"),
    }
}

/// Makes a key.
fn make(path: &Path) -> anyhow::Result<()> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|error| io::Error::other(error.to_string()))?;
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hex::encode(*key))));
    Ok(owner_only::create(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_where_it_belongs_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        assert!(Sealer::open_file(&path, false).is_err());
        let sealer = Sealer::open_file(&path, true).unwrap();
        let again = Sealer::open_file(&path, false).unwrap();
        let (name, other) = ("github".parse().unwrap(), "gitlab".parse().unwrap());
        let place = Place {
            tenant: "a",
            name: &name,
            key: None,
        };
        let sealed = sealer.seal(Part::Value, place, &"s3cret".into()).unwrap();
        assert!(!sealed.contains("s3cret"));
        let opened = again.open(Part::Value, place, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "s3cret");
        assert!(again.open(Part::Token, place, &sealed).is_err());
        let token = sealer.seal(Part::Token, place, &"t0ken".into()).unwrap();
        assert!(again.opens(place, &sealed, None) && again.opens(place, "", Some(&token)));
        assert!(!again.opens(place, "", None) && !again.opens(place, &token, Some(&sealed)));
        for elsewhere in [
            Place {
                tenant: "b",
                ..place
            },
            Place {
                name: &other,
                ..place
            },
            Place {
                key: Some("k"),
                ..place
            },
        ] {
            assert!(again.open(Part::Value, elsewhere, &sealed).is_err());
        }
        let mut changed = BASE64_STANDARD.decode(&sealed).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        let changed = BASE64_STANDARD.encode(changed);
        assert!(again.open(Part::Value, place, &changed).is_err());
        for short in ["", "AAAA", "?"] {
            assert!(again.open(Part::Value, place, short).is_err());
        }
        let elsewhere = folder.path().join("other.key");
        let stranger = Sealer::open_file(&elsewhere, true).unwrap();
        assert!(stranger.open(Part::Value, place, &sealed).is_err());
        assert!(!stranger.opens(place, &sealed, Some(&token)));
        fs::write(&elsewhere, "12").unwrap();
        assert!(Sealer::open_file(&elsewhere, true).is_err());
    }
}
