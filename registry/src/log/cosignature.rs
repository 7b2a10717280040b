//! Timestamped signatures on checkpoints: a witness's, which says that it saw no other log, and
//! the log's own, which says how fresh the checkpoint is. <https://c2sp.org/tlog-cosignature>

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use signed_note::Signature as NoteSignature;

use super::note_key::{self, COSIGNATURE, LogKey, NoteKeyError, NoteSecret};
use crate::key::PublicKey;

/// A witness's public key: a C2SP vkey of type 0x04.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WitnessKey {
    name: String,
    public: PublicKey,
}

/// A cosignature that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Whose it is.
    pub key: WitnessKey,
    /// Unix seconds at which it was made.
    pub time: u64,
}

impl WitnessKey {
    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks a signature line over a checkpoint's text; none where it is somebody else's, or
    /// does not fit.
    pub(super) fn verify(&self, text: &[u8], line: &NoteSignature) -> Option<Cosignature> {
        if line.name() != self.name || line.id() != self.id() {
            return None;
        }
        let (time, signature) = line.signature().split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).ok()?;
        let key = VerifyingKey::from_bytes(self.public.as_bytes()).ok()?;
        key.verify_strict(&message(time, text), &signature).ok()?;
        let key = self.clone();
        Some(Cosignature { key, time })
    }

    fn id(&self) -> u32 {
        note_key::id(&self.name, COSIGNATURE, &self.public)
    }
}

impl LogKey {
    /// The key under which the log itself says when it signed: the same key, in the other role.
    /// Each role's messages begin in a way the other's cannot.
    pub fn as_witness(&self) -> WitnessKey {
        WitnessKey {
            name: self.origin().to_owned(),
            public: self.public(),
        }
    }
}

impl NoteSecret {
    /// What others pin, where it is a witness's.
    pub fn witness_key(&self) -> WitnessKey {
        self.log_key().as_witness()
    }

    /// Makes a cosignature over a checkpoint's text, as of `time` in Unix seconds.
    pub(crate) fn cosign(&self, text: &[u8], time: u64) -> Result<NoteSignature, NoteKeyError> {
        let key = SigningKey::from_bytes(self.key().seed());
        let signature = key.sign(&message(time, text));
        let bytes = [time.to_be_bytes().as_slice(), &signature.to_bytes()].concat();
        let id = self.witness_key().id();
        NoteSignature::new(self.name().to_owned(), id, bytes).map_err(|_| NoteKeyError::Name)
    }
}

fn message(time: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat()
}

impl FromStr for WitnessKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        let (name, public) = note_key::read(text, COSIGNATURE)?;
        Ok(Self { name, public })
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        note_key::write(f, &self.name, COSIGNATURE, &self.public)
    }
}
