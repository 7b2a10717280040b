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
use memchr::memmem;
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
}

impl Looks {
    pub(crate) fn of<'a>(values: impl Iterator<Item = &'a SecretString>) -> Self {
        let mut all = BTreeSet::new();
        for value in values.map(SecretString::expose_secret) {
            if value.len() >= SHORTEST {
                all.extend(encodings(value));
            }
        }
        Self(all.into_iter().map(Zeroizing::new).collect())
    }

    /// Masks all that is in these bytes as a whole; says how often.
    fn mask(&self, bytes: &mut [u8]) -> u64 {
        let mut masked = 0;
        for look in &self.0 {
            let mut from = 0;
            while let Some(at) = memmem::find(&bytes[from..], look) {
                let end = from + at + look.len();
                bytes[from + at..end].fill(MASK);
                from = end;
                masked += 1;
            }
        }
        masked
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        let mut looks = self.0.iter();
        looks.any(|look| memmem::find(bytes, look).is_some())
    }

    /// Bytes at the end that could be the beginning of one.
    fn begun(&self, bytes: &[u8]) -> usize {
        let begun = |look: &[u8]| {
            let most = bytes.len().min(look.len() - 1);
            let mut lengths = (1..=most).rev();
            lengths.find(|length| bytes.ends_with(&look[..*length]))
        };
        let all = self.0.iter().filter_map(|look| begun(&look[..]));
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
        if !self.looks.is_in(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut bytes = text.as_bytes().to_vec();
        self.bytes(&mut bytes);
        // What is masked in a text is a text itself, and so is what is left.
        Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
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
            if self.looks.is_in(value.as_bytes()) {
                let mut bytes = value.as_bytes().to_vec();
                self.bytes(&mut bytes);
                // It was a value before, and stars are no less of one.
                *value = HeaderValue::from_bytes(&bytes)
                    .unwrap_or_else(|_| HeaderValue::from_static("***"));
            }
        }
    }

    /// For a text that comes in pieces; none where there is nothing to look for.
    pub(crate) fn stream(&self) -> Option<Box<Stream>> {
        let stream = || Stream {
            masking: self.clone(),
            held: Zeroizing::default(),
        };
        (!self.looks.0.is_empty()).then(|| Box::new(stream()))
    }

    fn bytes(&self, bytes: &mut [u8]) {
        let masked = self.looks.mask(bytes);
        if masked > 0 && self.masked.fetch_add(masked, Relaxed) == 0 {
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
        self.masking.bytes(&mut self.held);
        let begun = self.masking.looks.begun(&self.held);
        let ready = self.held.len() - begun;
        Bytes::from(self.held.drain(..ready).collect::<Vec<u8>>())
    }

    /// What waited for a next piece.
    pub(crate) fn end(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut *self.held);
        (!rest.is_empty()).then(|| Bytes::from(rest))
    }

    /// Whether something waits.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

/// As it is, in JSON, in a URL, in hexadecimal, and in base64 wherever in a longer text it begins.
fn encodings(value: &str) -> Vec<Vec<u8>> {
    let quoted = Zeroizing::new(serde_json::Value::from(value).to_string());
    let quoted = &quoted[1..quoted.len() - 1];
    let percent = percent_encoding::utf8_percent_encode(value, UNRESERVED);
    let mut all = vec![
        value.into(),
        quoted.into(),
        quoted.replace('/', "\\/").into(),
        percent.to_string().into(),
        form_urlencoded::byte_serialize(value.as_bytes())
            .collect::<String>()
            .into(),
        hex::encode(value).into(),
        hex::encode_upper(value).into(),
    ];
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

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const VALUE: &str = "p@ss/w\"ord+of-the tests";

    fn masking() -> Masking {
        let (value, short) = (VALUE.into(), "short".into());
        Masking::new(Arc::new(Looks::of([&value, &short].into_iter())))
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
