//! What proves one call to whoever has the host's public key: the record of it, its way to the root
//! of the audit log's tree, and the checkpoint that has this root signed.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use soma_registry::log::{
    Checkpoint, CheckpointError, Inclusion, LogKey, NoteKeyError, ProofError,
};

use crate::audit::{Line, is_erased, leaf, salted};

/// The largest receipt that is read: a host can record inputs and outputs as they are.
pub const MAX_RECEIPT_BYTES: usize = 64 << 20;

/// A receipt, as a host gives it. Nothing in it is believed before [`Receipt::prove`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The line of the audit log, to the byte: its SHA-256 is the leaf.
    pub line: String,
    /// The leaf's way to the root.
    pub inclusion: Inclusion,
    /// The signed checkpoint, a C2SP note.
    pub checkpoint: String,
    /// The key that signed it, a C2SP vkey: whoever makes a receipt can name any.
    pub key: String,
}

/// What a receipt proves.
#[derive(Clone, Debug)]
pub struct ProvenCall {
    /// What was recorded of the call.
    pub record: Value,
    /// Where it is in the log.
    pub index: u64,
    /// Records under the checkpoint.
    pub size: u64,
    /// The key that signed it.
    pub key: LogKey,
    /// When, in Unix seconds.
    pub signed_at: u64,
    salt: String,
}

/// What a text can be held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The input, as it was sent.
    Input,
    /// The output, as it stands in the answer.
    Output,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// It names no key.
    #[error("the receipt's key: {0}")]
    Key(#[from] NoteKeyError),
    /// Another host's, or nobody's.
    #[error("the receipt is signed by {found}, not by {wanted}")]
    OtherKey {
        /// The key that it names.
        found: String,
        /// The one that it should be.
        wanted: String,
    },
    /// The checkpoint is not that key's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log's own cosignature, which has the time, is missing or was changed.
    #[error("the checkpoint does not say when it was signed")]
    NoTime,
    /// The line is not in that log.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The line is what is left of an erased one, and says nothing.
    #[error("the record in the receipt is erased")]
    Erased,
    /// The line is of another form.
    #[error("the line in the receipt is no record of a call")]
    NoCall,
}

impl Receipt {
    /// Checks everything in it, for a key that is known from elsewhere; without one, that it was made
    /// by the key that it names itself.
    pub fn prove(&self, pinned: Option<&LogKey>) -> Result<ProvenCall, ReceiptError> {
        let key: LogKey = self.key.parse()?;
        if let Some(wanted) = pinned.filter(|pinned| **pinned != key) {
            return Err(ReceiptError::OtherKey {
                found: self.key.clone(),
                wanted: wanted.to_string(),
            });
        }
        let checkpoint = Checkpoint::read(self.checkpoint.as_bytes(), &key)?;
        let signed_at = checkpoint.time().ok_or(ReceiptError::NoTime)?;
        let line = self.line.as_bytes();
        // It has the leaf of the line that it replaces, whatever that was.
        if is_erased(line) {
            return Err(ReceiptError::Erased);
        }
        self.inclusion.check(&leaf(line), &checkpoint)?;
        let read = Line::<Value>::read(line);
        let Line { salt, record } = read.ok_or(ReceiptError::NoCall)?;
        if !ends_a_call(&record) {
            return Err(ReceiptError::NoCall);
        }
        Ok(ProvenCall {
            record,
            index: self.inclusion.index,
            size: checkpoint.size(),
            key,
            signed_at,
            salt,
        })
    }
}

impl ProvenCall {
    /// Whether this text, to the byte, was the call's. None where the record has no hash of it: of a
    /// refused call neither, of a failed one no output.
    pub fn is_text(&self, what: Hashed, text: &[u8]) -> Option<bool> {
        let member = match what {
            Hashed::Input => "input_sha256",
            Hashed::Output => "output_sha256",
        };
        let hash = self.record[member].as_str()?;
        Some(salted(self.salt.as_bytes(), text).as_str() == hash)
    }
}

/// Whether a record says how a call ended, or that it was refused: an intent says neither.
pub(crate) fn ends_a_call(record: &Value) -> bool {
    matches!(record["kind"].as_str(), Some("call" | "refusal"))
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use serde_json::json;
    use soma_registry::SecretKey;
    use soma_registry::log::{Frontier, NoteSecret};

    use super::*;
    use crate::audit::Salt;

    fn secret() -> NoteSecret {
        NoteSecret::new("host.test", SecretKey::generate().unwrap()).unwrap()
    }

    /// The receipt of a log's only line.
    fn receipt(secret: &NoteSecret, line: &str, signed_at: Option<u64>) -> Receipt {
        let mut frontier = Frontier::default();
        frontier.push(&leaf(line.as_bytes()));
        let mut checkpoint = Checkpoint::sign(secret, &frontier).unwrap();
        if let Some(time) = signed_at {
            checkpoint.cosign(secret, time).unwrap();
        }
        Receipt {
            line: line.to_owned(),
            inclusion: Inclusion {
                index: 0,
                path: Vec::new(),
            },
            checkpoint: String::from_utf8(checkpoint.to_bytes()).unwrap(),
            key: secret.log_key().to_string(),
        }
    }

    fn line(record: &Value) -> String {
        let line = json!({"salt": "0".repeat(32), "record": record});
        line.to_string()
    }

    #[test]
    fn only_what_says_how_a_call_ended_is_proven() {
        let (secret, other) = (secret(), secret());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Some(now.as_secs());
        let good = receipt(&secret, &line(&json!({"kind": "call"})), now);
        let proven = good.prove(Some(&secret.log_key())).unwrap();
        assert_eq!((proven.index, proven.size), (0, 1));
        assert_eq!(Some(proven.signed_at), now);
        let text: Receipt = serde_json::from_value(json!(good)).unwrap();
        assert_eq!(text, good);

        for (text, error) in [
            (line(&json!({"kind": "intent"})), ReceiptError::NoCall),
            (line(&json!({"kind": "grant"})), ReceiptError::NoCall),
            ("no JSON".to_owned(), ReceiptError::NoCall),
            (
                json!({"erased": "0".repeat(64)}).to_string(),
                ReceiptError::Erased,
            ),
        ] {
            let found = receipt(&secret, &text, now).prove(None).unwrap_err();
            assert_eq!(found.to_string(), error.to_string(), "{text}");
        }
        let undated = receipt(&secret, &good.line, None).prove(None);
        assert!(matches!(undated, Err(ReceiptError::NoTime)));
        let other = good.prove(Some(&other.log_key()));
        assert!(matches!(other, Err(ReceiptError::OtherKey { .. })));
    }

    #[test]
    fn a_text_is_held_against_its_salted_hash() {
        let (secret, salt) = (secret(), Salt::new());
        let record = json!({"kind": "call", "input_sha256": salt.hash(b"{}").as_str()});
        let whole = json!({"salt": salt, "record": record});
        let proven = receipt(&secret, &whole.to_string(), Some(1)).prove(None);
        let proven = proven.unwrap();
        assert_eq!(proven.is_text(Hashed::Input, b"{}"), Some(true));
        assert_eq!(proven.is_text(Hashed::Input, b"{} "), Some(false));
        assert_eq!(proven.is_text(Hashed::Output, b"{}"), None);
    }
}
