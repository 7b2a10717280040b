//! What an author signs about a capsule: an in-toto statement (v1) in a DSSE envelope.

use std::collections::BTreeMap;

use dsse::Envelope;
use semver::Version;
use serde::{Deserialize, Serialize};
use soma_capability::{Capabilities, CapsuleName, Digest, Name, Tool};

use crate::canonical::{self, CanonicalError};
use crate::key::{PublicKey, SecretKey};
use crate::package::Package;
use crate::signed::{self, EnvelopeError};

/// DSSE's payload type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";
/// What kind of statement it is, in in-toto's words.
pub const PREDICATE_TYPE: &str = "urn:soma:predicate:capsule:v1";
/// The largest statement: what a manifest section may hold, and some room around it.
pub const MAX_STATEMENT_BYTES: usize = 2 << 20;

const IN_TOTO: &str = "https://in-toto.io/Statement/v1";

/// An in-toto statement about one capsule file. <https://in-toto.io/Statement/v1>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    /// What is said of it.
    pub predicate: Predicate,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// What the author says of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// The namespace.
    pub publisher: Name,
    /// The capsule.
    pub capsule: CapsuleName,
    /// The version.
    pub version: Version,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// The tools as models will see them.
    pub tools: Vec<Tool>,
}

/// Why a statement cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// The payload has another type.
    #[error("the envelope's payload type is `{0}`; a statement has `{STATEMENT_TYPE}`")]
    Type(String),
    /// Larger than [`MAX_STATEMENT_BYTES`].
    #[error("the statement has over {MAX_STATEMENT_BYTES} bytes")]
    TooLarge,
    /// Not signed by that key, or the envelope is malformed.
    #[error("the statement is not signed by {key}: {error}")]
    Signature {
        /// The key it should be signed by.
        key: PublicKey,
        /// What is wrong.
        error: dsse::Error,
    },
    /// Signed by more than its author, or by nobody.
    #[error("the envelope has {0} signatures; a statement has its author's alone")]
    Signatures(usize),
    /// The `keyid` is another key, or something else.
    #[error("the signature's `keyid` must be {0}, whose it is")]
    KeyId(PublicKey),
    /// It could not be signed.
    #[error("the statement cannot be signed: {0}")]
    Sign(EnvelopeError),
    /// The payload is no statement of ours.
    #[error("the statement {0}")]
    Payload(#[from] CanonicalError),
    /// It says something else than the file does.
    #[error("the statement is not about this file: its {0} differs")]
    Differs(&'static str),
}

impl Statement {
    /// What there is to say about a capsule file. It follows from the file alone.
    pub fn about(package: &Package) -> Self {
        let manifest = package.manifest();
        Self {
            kind: IN_TOTO.to_owned(),
            subject: vec![Subject {
                name: format!("{}@{}", manifest.name, manifest.version),
                digest: BTreeMap::from([("sha256".to_owned(), package.digest().hex())]),
            }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Predicate {
                publisher: manifest.name.publisher(),
                capsule: manifest.name.clone(),
                version: manifest.version.clone(),
                capabilities: manifest.capabilities.clone(),
                tools: package.tools().to_vec(),
            },
        }
    }

    /// Signs it.
    pub fn sign(&self, key: &SecretKey) -> Result<Envelope, StatementError> {
        signed::sign(STATEMENT_TYPE, self, &[key]).map_err(StatementError::Sign)
    }

    /// The sha256 of what is signed, by which a [`Change::Publish`](crate::Change) names it.
    pub fn digest(&self) -> Result<Digest, StatementError> {
        let payload = canonical::write(self).map_err(CanonicalError::from)?;
        Ok(Digest::of(&payload))
    }

    /// Checks that `key` signed the envelope and that it says of `package` what the file itself
    /// says.
    pub fn open(
        envelope: &Envelope,
        key: PublicKey,
        package: &Package,
    ) -> Result<Self, StatementError> {
        if envelope.payload_type != STATEMENT_TYPE {
            let shown = envelope.payload_type.escape_debug().take(80).collect();
            return Err(StatementError::Type(shown));
        }
        if envelope.payload.len() > MAX_STATEMENT_BYTES * 4 / 3 + 4 {
            return Err(StatementError::TooLarge);
        }
        // Whatever else is there would be kept and served for ever.
        let [signature] = &envelope.signatures[..] else {
            return Err(StatementError::Signatures(envelope.signatures.len()));
        };
        if signature.keyid.as_deref() != Some(&key.to_string()) {
            return Err(StatementError::KeyId(key));
        }
        let refuse = |error| StatementError::Signature { key, error };
        let verifier = dsse::Ed25519Verifier::from_bytes(key.as_bytes()).map_err(refuse)?;
        let payload = dsse::verify(envelope, &[&verifier], 1)
            .map_err(refuse)?
            .payload;
        let signed: Self = canonical::read(&payload)?;
        signed
            .differs(&Self::about(package))
            .map_or(Ok(()), |part| Err(StatementError::Differs(part)))?;
        Ok(signed)
    }

    fn differs(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (&self.predicate, &other.predicate);
        let parts = [
            (self.kind == other.kind, "type"),
            (
                self.predicate_type == other.predicate_type,
                "predicate type",
            ),
            (a.capsule == b.capsule, "capsule"),
            (a.version == b.version, "version"),
            (self.subject == other.subject, "digest"),
            (a.publisher == b.publisher, "publisher"),
            (a.capabilities == b.capabilities, "list of capabilities"),
            (a.tools == b.tools, "list of tools"),
            (self == other, "content"),
        ];
        parts
            .into_iter()
            .find_map(|(same, part)| (!same).then_some(part))
    }
}
