//! DSSE envelopes around canonical JSON, in which each signature's `keyid` is the public key.

use std::collections::BTreeSet;

use dsse::{Ed25519Signer, Ed25519Verifier, Envelope};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::canonical::{self, CanonicalError};
use crate::key::{PublicKey, SecretKey};

/// The most signatures that anything of ours needs: of who allows it and who gains by it.
const MAX_SIGNATURES: usize = 4;

/// Why an envelope holds nothing that was signed.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The payload has another type.
    #[error("the envelope's payload type is `{found}`; it must be `{wanted}`")]
    Type {
        /// The type it has.
        found: String,
        /// The type it must have.
        wanted: &'static str,
    },
    /// Not 1 to 4 signatures.
    #[error("the envelope has {0} signatures; it must have 1 to {MAX_SIGNATURES}")]
    Signatures(usize),
    /// A signature names no key.
    #[error("signature {0} names no public key in `keyid`")]
    KeyId(usize),
    /// A signature does not fit, or the envelope is malformed.
    #[error("the signature does not fit: {0}")]
    Signature(#[from] dsse::Error),
    /// More bytes than the type allows.
    #[error("the signed payload has over {0} bytes")]
    TooLarge(usize),
    /// The payload is something else.
    #[error("the signed payload {0}")]
    Payload(#[from] CanonicalError),
}

/// Puts a value into an envelope signed by each key.
pub(crate) fn sign<T: Serialize>(
    payload_type: &str,
    value: &T,
    keys: &[&SecretKey],
) -> Result<Envelope, EnvelopeError> {
    let payload = canonical::write(value).map_err(CanonicalError::from)?;
    let signers: Vec<_> = keys
        .iter()
        .map(|key| {
            let signer = Ed25519Signer::from_bytes(key.seed())?;
            Ok(signer.with_key_id(key.public().to_string()))
        })
        .collect::<Result<_, dsse::Error>>()?;
    let signers: Vec<&dyn dsse::Signer> = signers.iter().map(|signer| signer as _).collect();
    Ok(dsse::sign_with(payload_type, &payload, &signers)?)
}

/// The value and the keys that signed it. Every signature must be good: here `keyid` says whose
/// an entry is, and one that is not would be noise that is logged for ever.
pub(crate) fn open<T: Serialize + DeserializeOwned>(
    envelope: &Envelope,
    wanted: &'static str,
    most: usize,
) -> Result<(T, BTreeSet<PublicKey>), EnvelopeError> {
    if envelope.payload_type != wanted {
        let found = envelope.payload_type.escape_debug().take(80).collect();
        return Err(EnvelopeError::Type { found, wanted });
    }
    if !(1..=MAX_SIGNATURES).contains(&envelope.signatures.len()) {
        return Err(EnvelopeError::Signatures(envelope.signatures.len()));
    }
    // Base64 has four characters for three bytes.
    if envelope.payload.len() > most * 4 / 3 + 4 {
        return Err(EnvelopeError::TooLarge(most));
    }
    let mut signers = BTreeSet::new();
    let mut payload = Vec::new();
    for (index, signature) in envelope.signatures.iter().enumerate() {
        let key: PublicKey = signature
            .keyid
            .as_deref()
            .and_then(|id| id.parse().ok())
            .ok_or(EnvelopeError::KeyId(index + 1))?;
        let alone = Envelope {
            signatures: vec![signature.clone()],
            ..envelope.clone()
        };
        let verifier = Ed25519Verifier::from_bytes(key.as_bytes())?;
        payload = dsse::verify(&alone, &[&verifier], 1)?.payload;
        signers.insert(key);
    }
    Ok((canonical::read(&payload)?, signers))
}
