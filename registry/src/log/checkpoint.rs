//! A log's signed tree head. <https://c2sp.org/tlog-checkpoint>

use signed_note::{Note, NoteError, Signature, VerifierList};
use tlog_tiles::Checkpoint as TreeHead;

use super::cosignature::{Cosignature, WitnessKey};
use super::frontier::Frontier;
use super::hash::TreeHash;
use super::note_key::{LogKey, NoteKeyError, NoteSecret};

/// The largest checkpoint that is read: the text and a hundred signatures.
const MAX_CHECKPOINT_BYTES: usize = 64 << 10;

/// The largest log: far from where sizes overflow in a proof's arithmetic.
const MAX_SIZE: u64 = 1 << 48;

/// A checkpoint whose log signature was verified.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    key: LogKey,
    size: u64,
    root: TreeHash,
    /// The signed text, without signatures.
    text: Vec<u8>,
    signatures: Vec<Signature>,
}

/// Why a text is not a checkpoint of this log.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note with the three lines.
    #[error("this is not a checkpoint: not a signed note of origin, size and root hash")]
    Malformed,
    /// Another log's.
    #[error("this is a checkpoint of the log `{found}`, not of `{wanted}`")]
    Origin {
        /// Its first line.
        found: String,
        /// The log it should be of.
        wanted: String,
    },
    /// The pinned key did not sign it.
    #[error("the checkpoint is not signed by the pinned key of `{0}`")]
    Signature(String),
    /// The key cannot sign or verify.
    #[error(transparent)]
    Key(#[from] NoteKeyError),
}

impl Checkpoint {
    /// Signs the tree that `frontier` is the edge of.
    pub fn sign(secret: &NoteSecret, frontier: &Frontier) -> Result<Self, CheckpointError> {
        let head = TreeHead::new(secret.name(), frontier.size(), frontier.root().into(), "")
            .map_err(|_| CheckpointError::Malformed)?;
        let text = head.to_bytes();
        let mut note = Note::new(&text, &[]).map_err(|_| CheckpointError::Malformed)?;
        let signer = secret.signer()?;
        note.add_sigs(&[&signer])
            .map_err(|_| CheckpointError::Malformed)?;
        Self::read(&note.to_bytes(), &secret.log_key())
    }

    /// Adds when it was signed: by the log itself, or by a witness.
    pub fn cosign(&mut self, secret: &NoteSecret, time: u64) -> Result<Signature, CheckpointError> {
        let line = secret.cosign(&self.text, time)?;
        self.add(line.clone());
        Ok(line)
    }

    /// Adds this witness's cosignature, where it is among these lines; says whether it was.
    pub fn admit(&mut self, key: &WitnessKey, lines: &[u8]) -> bool {
        let lines = lines.split(|byte| *byte == b'\n');
        let mut lines = lines.filter_map(|line| Signature::from_bytes(line).ok());
        let found = lines.find(|line| key.verify(&self.text, line).is_some());
        let admitted = found.is_some();
        found.into_iter().for_each(|line| self.add(line));
        admitted
    }

    /// Adds a signature line, in the place of that key's earlier one.
    fn add(&mut self, line: Signature) {
        let same = |other: &Signature| other.name() == line.name() && other.id() == line.id();
        self.signatures.retain(|other| !same(other));
        self.signatures.push(line);
    }

    /// Reads a checkpoint of the log with this key. Other signatures on it are kept and not
    /// judged; [`Checkpoint::cosignatures`] does that.
    pub fn read(note: &[u8], key: &LogKey) -> Result<Self, CheckpointError> {
        if note.len() > MAX_CHECKPOINT_BYTES {
            return Err(CheckpointError::Malformed);
        }
        let note = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        let head = TreeHead::from_bytes(note.text()).map_err(|_| CheckpointError::Malformed)?;
        if head.origin() != key.origin() {
            return Err(CheckpointError::Origin {
                found: head.origin().escape_debug().take(256).collect(),
                wanted: key.origin().to_owned(),
            });
        }
        let list = VerifierList::new(vec![Box::new(key.verifier()?)]);
        let (verified, others) = note.verify(&list).map_err(|error| match error {
            NoteError::MalformedNote => CheckpointError::Malformed,
            _ => CheckpointError::Signature(key.origin().to_owned()),
        })?;
        if head.size() > MAX_SIZE {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self {
            key: key.clone(),
            size: head.size(),
            root: (*head.hash()).into(),
            text: note.text().to_vec(),
            // The log's own comes first and once, whatever order and number it came in.
            signatures: verified.into_iter().chain(others).collect(),
        })
    }

    /// The log.
    pub fn key(&self) -> &LogKey {
        &self.key
    }

    /// How many leaves the log has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash over them.
    pub fn root(&self) -> TreeHash {
        self.root
    }

    /// The cosignatures on it by these keys, one a key.
    pub fn cosignatures(&self, keys: &[WitnessKey]) -> Vec<Cosignature> {
        let of = |key: &WitnessKey| {
            let mut lines = self.signatures.iter();
            lines.find_map(|line| key.verify(&self.text, line))
        };
        keys.iter().filter_map(of).collect()
    }

    /// Unix seconds at which the log says it signed this.
    pub fn time(&self) -> Option<u64> {
        let own = self.cosignatures(&[self.key.as_witness()]);
        own.first().map(|own| own.time)
    }

    /// The whole note.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines = self.signatures.iter().flat_map(Signature::to_bytes);
        let mut bytes = self.text.clone();
        bytes.push(b'\n');
        bytes.extend(lines);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;

    fn secret(name: &str) -> NoteSecret {
        NoteSecret::new(name, SecretKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn is_read_as_it_was_signed_and_by_nobody_else() {
        let (log, other, witness) = (secret("log.test"), secret("log.test"), secret("w.test"));
        let mut frontier = Frontier::default();
        frontier.push(b"leaf");
        let mut checkpoint = Checkpoint::sign(&log, &frontier).unwrap();
        assert_eq!(checkpoint.time(), None);
        checkpoint.cosign(&log, 7).unwrap();
        checkpoint.cosign(&log, 8).unwrap();
        let line = witness.cosign(&checkpoint.text, 9).unwrap().to_bytes();
        assert!(!checkpoint.admit(&other.witness_key(), &line));
        let lines = [b"\xff\n\xe2\x80\x94 w.test AAAA\n", line.as_slice()].concat();
        assert!(checkpoint.admit(&witness.witness_key(), &lines));
        let bytes = checkpoint.to_bytes();

        let read = Checkpoint::read(&bytes, &log.log_key()).unwrap();
        assert_eq!((read.size(), read.root()), (1, frontier.root()));
        assert_eq!(read.time(), Some(8));
        let keys = [witness.witness_key(), other.witness_key()];
        let seen = read.cosignatures(&keys);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].time, 9);
        assert_eq!(read.to_bytes(), bytes);

        assert!(matches!(
            Checkpoint::read(&bytes, &other.log_key()),
            Err(CheckpointError::Signature(_))
        ));
        assert!(matches!(
            Checkpoint::read(&bytes, &witness.log_key()),
            Err(CheckpointError::Origin { .. })
        ));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            if let Ok(read) = Checkpoint::read(&changed, &log.log_key()) {
                // Only what a cosigner wrote can differ, and then it is not theirs any more.
                assert_eq!(read.root(), frontier.root());
                let times = (read.time(), read.cosignatures(&keys).len());
                assert_ne!(times, (Some(8), 1), "byte {at}");
            }
        }
    }

    #[test]
    fn a_cosignature_has_the_specification_s_layout() {
        // https://c2sp.org/tlog-cosignature prints no keys, so the lines are made here and their
        // layout is compared: key id, 8 bytes of time, 64 bytes of signature.
        let witness = secret("witness.example.com/w1");
        let line = witness.cosign(b"a\n0\nb\n", 1_679_315_147).unwrap();
        assert_eq!(line.signature().len(), 72);
        assert_eq!(line.signature()[..8], 1_679_315_147_u64.to_be_bytes());
        assert_eq!(line.id(), witness.witness_key().id_for_test());
    }

    impl WitnessKey {
        fn id_for_test(&self) -> u32 {
            use sha2::Digest as _;
            let text: WitnessKey = self.to_string().parse().unwrap();
            assert_eq!(&text, self);
            let key = self.to_string();
            let key = key.splitn(3, '+').nth(2).unwrap();
            let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, key);
            let hash =
                sha2::Sha256::digest([self.name().as_bytes(), b"\n", &key.unwrap()].concat());
            u32::from_be_bytes(hash[..4].try_into().unwrap())
        }
    }
}
