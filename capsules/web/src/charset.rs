//! Bytes to text, by the order of the WHATWG HTML standard: byte order mark, HTTP header, `<meta>`.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

/// How much of a page is searched for `<meta charset>`, in bytes.
const PRESCAN: usize = 1024;

/// Decodes a body. `parameters` are those of its `Content-Type`.
pub(crate) fn decode(body: &[u8], parameters: &str, html: bool) -> String {
    let encoding = declared(parameters)
        .or_else(|| html.then(|| in_meta(body)).flatten())
        .unwrap_or_else(|| guess(body));
    // Takes a byte order mark over what it is told.
    let (text, _, _) = encoding.decode(body);
    text.into_owned()
}

/// The `charset` among the parameters of a media type, or in a `<meta>` tag's text.
fn declared(text: &str) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let (_, after) = lower.split_once("charset")?;
    let label = after.trim_start().strip_prefix('=')?.trim_start();
    let label = label.trim_start_matches(['"', '\'']);
    let end = label
        .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '>' | '/'))
        .unwrap_or(label.len());
    Encoding::for_label(&label.as_bytes()[..end])
}

fn in_meta(body: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&body[..body.len().min(PRESCAN)]).to_ascii_lowercase();
    head.split("<meta")
        .skip(1)
        .find_map(|rest| declared(rest.split('>').next().unwrap_or_default()))
}

/// Nothing is declared: UTF-8 where it is that, else what old pages meant.
fn guess(body: &[u8]) -> &'static Encoding {
    match std::str::from_utf8(body) {
        Ok(_) => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_meta_mark_and_guess() {
        assert_eq!(decode(b"caf\xe9", " charset=ISO-8859-1", false), "café");
        assert_eq!(decode(b"\xa4\xb3", "charset=\"euc-jp\"", true), "こ");
        let meta = b"<html><meta http-equiv=x content='text/html; charset=windows-1251'>\xcf";
        assert!(decode(meta, "", true).ends_with('П'));
        assert!(decode(b"<meta charset=utf-8><p>caf\xc3\xa9", "", true).ends_with("café"));
        assert_eq!(
            decode(b"\xef\xbb\xbfcaf\xc3\xa9", "charset=latin1", true),
            "café"
        );
        assert_eq!(decode(b"\xff\xfea\0", "", false), "a");
        assert_eq!(decode("café".as_bytes(), "", false), "café");
        assert_eq!(decode(b"caf\xe9", "", false), "café");
        assert_eq!(decode(b"caf\xe9", "charset=nonsense", false), "café");
    }
}
