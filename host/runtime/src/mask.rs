//! A tripwire, and no wall: where a credential comes back from a server, or shows up in what a guest
//! says, it is masked. It looks for values in their common encodings; a guest that means to can
//! write one in a way that nothing here knows.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use memchr::{memchr_iter, memmem};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded;

/// Bytes of a value. What is shorter is found in many a text by chance.
const SHORTEST: usize = 16;

/// Stands for each byte that is masked, so that lengths stay as they were said.
const MASK: u8 = b'*';

/// How credentials look, each in several encodings.
#[derive(Default)]
pub(crate) struct Looks(Vec<Zeroizing<Vec<u8>>>);

/// What one call masks, and how often. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masking {
    looks: Arc<Looks>,
    masked: Arc<AtomicU64>,
}

/// A text that comes in pieces. What may be the beginning of a credential waits for the next one.
#[derive(Debug)]
pub(crate) struct Stream {
    masking: Masking,
    held: Zeroizing<Vec<u8>>,
    /// Which of those bytes are a credential's.
    covered: Vec<bool>,
}

impl Looks {
    pub(crate) fn of(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let mut all = BTreeSet::new();
        for secret in secrets {
            let secret = secret.expose_secret();
            if secret.len() >= SHORTEST {
                all.extend(encodings(secret));
            }
        }
        Self(all.into_iter().map(Zeroizing::new).collect())
    }

    /// Marks all that is in these bytes as a whole, wherever one begins within another; says how often
    /// there was more to mark.
    fn cover(&self, bytes: &[u8], covered: &mut [bool]) -> u64 {
        let mut found = 0;
        for look in &self.0 {
            let mut from = 0;
            while let Some(next) = memmem::find(&bytes[from..], look) {
                let at = from + next;
                let part = &mut covered[at..at + look.len()];
                if !part.iter().all(|covered| *covered) {
                    part.fill(true);
                    found += 1;
                }
                // One may overlap the next.
                from = at + 1;
            }
        }
        found
    }

    /// Bytes at the end that could be the beginning of one.
    fn begun(&self, bytes: &[u8]) -> usize {
        let begun = |look: &[u8]| {
            let most = bytes.len().min(look.len() - 1);
            let end = &bytes[bytes.len() - most..];
            // The first is the longest.
            let at = memchr_iter(look[0], end).find(|at| look.starts_with(&end[*at..]));
            at.map(|at| most - at)
        };
        let all = self.0.iter().filter_map(|look| begun(look));
        all.max().unwrap_or(0)
    }
}

/// Says how many there are, and nothing of them.
impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Looks({})", self.0.len())
    }
}

impl Masking {
    pub(crate) fn new(looks: Arc<Looks>) -> Self {
        let masked = Arc::default();
        Self { looks, masked }
    }

    /// How often something was masked.
    pub(crate) fn count(&self) -> u64 {
        self.masked.load(Relaxed)
    }

    /// The text without credentials.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.masked(text.as_bytes()) {
            None => Cow::Borrowed(text),
            // What is masked in a text is a text itself, and so is what is left.
            Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The same, in its place.
    pub(crate) fn text_in(&self, text: &mut String) {
        if let Cow::Owned(masked) = self.text(text) {
            *text = masked;
        }
    }

    /// The values of these fields.
    pub(crate) fn fields(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            if let Some(masked) = self.masked(value.as_bytes()) {
                // It was a value before, and stars are no less of one.
                *value = HeaderValue::from_bytes(&masked)
                    .unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }

    /// For a text that comes in pieces; none where there is nothing to look for.
    pub(crate) fn stream(&self) -> Option<Stream> {
        let stream = || Stream {
            masking: self.clone(),
            held: Zeroizing::default(),
            covered: Vec::new(),
        };
        (!self.looks.0.is_empty()).then(stream)
    }

    /// The bytes without credentials, where there were any.
    fn masked(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.looks.0.is_empty() {
            return None;
        }
        let mut covered = vec![false; bytes.len()];
        let found = self.looks.cover(bytes, &mut covered);
        self.add(found);
        (found > 0).then(|| shown(bytes, &covered))
    }

    fn add(&self, found: u64) {
        if found > 0 && self.masked.fetch_add(found, Relaxed) == 0 {
            tracing::warn!(
                target: "masked",
                "a credential came back to the capsule, or is in what it says: it is masked"
            );
        }
    }
}

impl Stream {
    /// As much of what has come as cannot be the beginning of a credential; perhaps nothing.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Bytes {
        self.held.extend_from_slice(piece);
        self.covered.resize(self.held.len(), false);
        let looks = &self.masking.looks;
        let found = looks.cover(&self.held, &mut self.covered);
        self.masking.add(found);
        // One that is whole may be the beginning of a longer one.
        self.release(self.held.len() - looks.begun(&self.held))
    }

    /// What waited for a next piece.
    pub(crate) fn end(&mut self) -> Option<Bytes> {
        self.holds().then(|| self.release(self.held.len()))
    }

    /// Whether something waits.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// The fields that come after the text.
    pub(crate) fn trailers(&self, trailers: &mut HeaderMap) {
        self.masking.fields(trailers);
    }

    fn release(&mut self, ready: usize) -> Bytes {
        let bytes = shown(&self.held[..ready], &self.covered);
        self.held.drain(..ready);
        self.covered.drain(..ready);
        Bytes::from(bytes)
    }
}

/// The bytes, with stars where they are covered.
fn shown(bytes: &[u8], covered: &[bool]) -> Vec<u8> {
    let pairs = bytes.iter().zip(covered);
    pairs
        .map(|(byte, covered)| if *covered { MASK } else { *byte })
        .collect()
}

/// As it is, in JSON, in a URL, in hexadecimal, and in base64 wherever in a longer text it begins.
fn encodings(value: &str) -> Vec<Vec<u8>> {
    let quoted = Zeroizing::new(serde_json::Value::from(value).to_string());
    let quoted = &quoted[1..quoted.len() - 1];
    let percent = [UNRESERVED, COMPONENT, PATH].map(|kept| {
        let upper = percent_encoding::utf8_percent_encode(value, kept).to_string();
        [in_lower_case(&upper), upper]
    });
    let mut all = vec![
        value.into(),
        quoted.into(),
        quoted.replace('/', "\\/").into(),
        form_urlencoded::byte_serialize(value.as_bytes())
            .collect::<String>()
            .into(),
        hex::encode(value).into(),
        hex::encode_upper(value).into(),
    ];
    all.extend(percent.into_iter().flatten().map(Vec::from));
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        all.extend((0..3).map(|before| {
            let text = Zeroizing::new([&[0; 2][..before], value.as_bytes()].concat());
            let encoded = Zeroizing::new(engine.encode(&*text));
            // The characters that have no bit of what stands before or behind.
            let (begin, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
            encoded.as_bytes()[begin..end].to_vec()
        }));
    }
    all
}

/// RFC 3986 §2.3.
const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What Python's `quote` leaves as it is.
const PATH: &percent_encoding::AsciiSet = &UNRESERVED.remove(b'/');

/// What JavaScript's `encodeURIComponent` leaves as it is.
const COMPONENT: &percent_encoding::AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*');

/// `%2f` in the place of `%2F`.
fn in_lower_case(encoded: &str) -> String {
    let mut since = 3;
    let lower = encoded.chars().map(|character| {
        since = if character == '%' { 0 } else { since + 1 };
        if since <= 2 {
            character.to_ascii_lowercase()
        } else {
            character
        }
    });
    lower.collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const VALUE: &str = "p@ss/w\"ord+of-the tests";

    fn masking() -> Masking {
        Masking::new(Arc::new(Looks::of([VALUE.into(), "short".into()])))
    }

    /// The value in a text, in each way that is known.
    fn texts() -> Vec<String> {
        let mut all = vec![
            format!("Bearer {VALUE}!"),
            serde_json::json!({"token": VALUE}).to_string(),
            serde_json::json!({"token": VALUE})
                .to_string()
                .replace('/', "\\/"),
            format!(
                "a=b&key={}&c",
                form_urlencoded::byte_serialize(VALUE.as_bytes()).collect::<String>()
            ),
            format!(
                "/{}/",
                percent_encoding::utf8_percent_encode(VALUE, UNRESERVED)
            ),
            in_lower_case(&format!(
                "/{}/",
                percent_encoding::utf8_percent_encode(VALUE, COMPONENT)
            )),
            hex::encode(format!("a{VALUE}b")),
            hex::encode_upper(VALUE),
        ];
        for before in ["", "u", "me", "me:", "user"] {
            all.push(STANDARD.encode(format!("{before}{VALUE}")));
            all.push(URL_SAFE_NO_PAD.encode(format!("{before}{VALUE}:more")));
        }
        all
    }

    #[test]
    fn finds_each_encoding() {
        let masking = masking();
        for (nth, text) in texts().iter().enumerate() {
            let masked = masking.text(text);
            assert_eq!(masked.len(), text.len());
            assert!(masked.contains("************"), "{text}: {masked}");
            assert_eq!(masking.count(), nth as u64 + 1, "{text}: {masked}");
        }
        for other in ["", "short", &VALUE[1..], &hex::encode(&VALUE[..10])] {
            assert_eq!(masking.text(other), other);
        }
        assert!(!format!("{masking:?}").contains("ord"));
    }

    #[test]
    fn finds_it_across_pieces_and_loses_nothing() {
        for text in texts() {
            let whole = masking().text(&text).into_owned();
            for size in 1..text.len() {
                let masking = masking();
                let mut stream = masking.stream().unwrap();
                let mut came = Vec::new();
                for piece in text.as_bytes().chunks(size) {
                    came.extend_from_slice(&stream.push(piece));
                }
                assert_eq!(came.len() < text.len(), stream.holds());
                came.extend(stream.end().unwrap_or_default());
                assert_eq!(String::from_utf8(came).unwrap(), whole, "{size}");
                assert_eq!(masking.count(), 1);
            }
        }
    }

    #[test]
    fn finds_one_within_another() {
        let (short, long) = (
            "id-of-the-tests-1".into(),
            "id-of-the-tests-1:s3cret".into(),
        );
        let looks = Arc::new(Looks::of([short, long]));
        let text = "a id-of-the-tests-1:s3cret b id-of-the-tests-1 c";
        let masked = format!("a {} b {} c", "*".repeat(24), "*".repeat(17));
        let masking = Masking::new(looks);
        assert_eq!(masking.text(text), masked);
        for size in 1..text.len() {
            let mut stream = masking.stream().unwrap();
            let pieces = text.as_bytes().chunks(size);
            let mut came: Vec<u8> = pieces.flat_map(|piece| stream.push(piece)).collect();
            came.extend(stream.end().unwrap_or_default());
            assert_eq!(String::from_utf8(came).unwrap(), masked, "{size}");
        }
        // One that repeats itself is masked from its beginning to its end.
        let masking = Masking::new(Arc::new(Looks::of(["a".repeat(20).into()])));
        let mut stream = masking.stream().unwrap();
        let mut came: Vec<u8> = (0..100).flat_map(|_| stream.push(b"aaaaaaa")).collect();
        came.extend(stream.end().unwrap_or_default());
        assert_eq!(came, [b'*'; 700]);
    }

    #[test]
    fn waits_for_nothing_that_is_not_the_beginning_of_one() {
        let masking = masking();
        let mut stream = masking.stream().unwrap();
        assert_eq!(stream.push(b"data: 1\n\n"), "data: 1\n\n");
        assert_eq!(stream.push(b"data: p@ss"), "data: ");
        assert_eq!(stream.push(b"ing\n"), "p@ssing\n");
        assert_eq!(stream.end(), None);
        assert!(Masking::default().stream().is_none());
    }

    #[test]
    fn masks_fields() {
        let masking = masking();
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("Bearer {VALUE}").parse().unwrap());
        headers.insert("x-other", HeaderValue::from_static("other"));
        masking.fields(&mut headers);
        assert_eq!(
            headers["x-echo"],
            format!("Bearer {}", "*".repeat(VALUE.len()))
        );
        assert_eq!(headers["x-other"], "other");
    }
}
