//! How an entry is kept: `{"salt":"<32 hex digits>","record":{…}}` on a line of its own. The log's
//! leaf is the SHA-256 of that line, so that a line can be erased without a hole in any proof:
//! `{"erased":"<the leaf>"}` takes its place, and without the salt nobody can guess what it was.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

type Leaf = [u8; 32];

const ERASED: &[u8] = b"{\"erased\":\"";
const END: &[u8] = b"\"}";
/// Bytes of an erased line, its end included.
pub(super) const ERASED_BYTES: u64 = (ERASED.len() + 64 + END.len() + 1) as u64;

/// Bytes that most lines need at most.
const USUAL: usize = 1024;

/// A secret of one line's, without which its hashes say nothing.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Salt(Hex<32>);

/// Bytes in hex: as many digits, and no heap, since a call has four of them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Hex<const DIGITS: usize>([u8; DIGITS]);

/// What is in a line that is not erased: its record, or what is wanted of that. Everybody reads it as
/// strictly: with more members, or fewer, it is no line that a host writes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line<R, S = String> {
    pub(crate) salt: S,
    pub(crate) record: R,
}

impl<R: DeserializeOwned> Line<R> {
    /// None where the line is erased, or is none.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

impl Salt {
    /// Of the thread's generator, which the kernel seeds: one a call, and a system call for each would
    /// be felt.
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes);
        Self(Hex::of(&bytes))
    }

    /// SHA-256 of the salt's 32 hex digits and the text, in hex.
    pub(crate) fn hash(&self, text: &[u8]) -> Hex<64> {
        salted(&self.0.0, text)
    }

    /// The line of a record, without its end.
    pub(super) fn line(&self, record: impl Serialize) -> serde_json::Result<Vec<u8>> {
        let salt = *self;
        let mut line = Vec::with_capacity(USUAL);
        serde_json::to_writer(&mut line, &Line { salt, record })?;
        Ok(line)
    }
}

impl<const DIGITS: usize> Hex<DIGITS> {
    fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; DIGITS];
        let fits = hex::encode_to_slice(bytes, &mut digits);
        debug_assert!(fits.is_ok());
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const DIGITS: usize> Serialize for Hex<DIGITS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The same with a salt as it was read from a line.
pub(crate) fn salted(salt: &[u8], text: &[u8]) -> Hex<64> {
    let hash = Sha256::new().chain_update(salt).chain_update(text);
    Hex::of(&hash.finalize())
}

/// The leaf of a line of a host's audit log in the log's tree; an erased line has the one that it
/// had.
pub fn leaf(line: &[u8]) -> [u8; 32] {
    erased(line).unwrap_or_else(|| Sha256::digest(line).into())
}

/// Whether what a line said was erased.
pub fn is_erased(line: &[u8]) -> bool {
    erased(line).is_some()
}

/// The leaf that an erased line keeps.
fn erased(line: &[u8]) -> Option<Leaf> {
    let digits = line.strip_prefix(ERASED)?.strip_suffix(END)?;
    let mut leaf = Leaf::default();
    hex::decode_to_slice(digits, &mut leaf).ok()?;
    Some(leaf)
}

/// Whether it is one that a host writes.
pub(super) fn is_line(line: &[u8]) -> bool {
    // However deep it is nested: nobody goes into it here.
    let record = Line::<Box<RawValue>>::read(line).map(|line| line.record);
    is_erased(line) || record.is_some_and(|record| record.get().starts_with('{'))
}

/// What takes a line's place.
pub(super) fn erase(line: &[u8]) -> Vec<u8> {
    [ERASED, hex::encode(leaf(line)).as_bytes(), END].concat()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_erased_line_keeps_its_leaf_and_nothing_else() {
        let salt = Salt::new();
        // A text that tries to be a line of its own, or an erased one.
        let text = format!("\"}}\n{{\"erased\":\"{}\"}}", "0".repeat(64));
        let line = salt.line(json!({ "tool": text })).unwrap();
        assert!(!line.contains(&b'\n'));
        let gone = erase(&line);
        assert_eq!(leaf(&gone), leaf(&line));
        assert_eq!(erase(&gone), gone);
        assert_eq!(gone.len() as u64 + 1, ERASED_BYTES);
        assert!(erased(&line).is_none());
        assert_ne!(salt.hash(b"a"), Salt::new().hash(b"a"));
    }

    #[test]
    fn a_line_is_read_as_it_was_written_and_nothing_else_is_one() {
        let (salt, record) = (Salt::new(), json!({"kind": "start"}));
        let line = salt.line(&record).unwrap();
        let read = Line::<Value>::read(&line).unwrap();
        assert_eq!((read.salt.as_str(), read.record), (salt.0.as_str(), record));
        assert!(Line::<Value>::read(&erase(&line)).is_none());
        for other in [
            json!({"salt": "", "record": {}, "more": 1}),
            json!({"record": {}}),
            json!({"salt": ""}),
            json!({"salt": 1, "record": {}}),
            json!("salt"),
        ] {
            let text = other.to_string();
            assert!(Line::<Value>::read(text.as_bytes()).is_none(), "{text}");
        }
    }
}
