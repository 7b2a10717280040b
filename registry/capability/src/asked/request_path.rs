//! A request's path in the one form that is matched and sent: RFC 3986, section 6.2.2, and no two
//! ways to read it.

use percent_encoding::{percent_decode, percent_encode_byte};

/// The longest path of a request, in bytes.
pub const MAX_PATH_BYTES: usize = 8 * 1024;

/// How often a server behind a proxy behind a proxy may decode what it was sent.
const MAX_DECODINGS: usize = 4;

/// Why no request can have this path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `/`.
    #[error("a path begins with `/`")]
    Relative,
    /// Longer than [`MAX_PATH_BYTES`].
    #[error("a path has at most {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// A `?` or `#`, or more of a URL than its path.
    #[error("`?` and `#` end a path; inside one they are written `%3F` and `%23`")]
    Query,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("`%` is followed by two hexadecimal digits, or written `%25`")]
    Escape,
    /// A control character, encoded or not.
    #[error("a path has no control characters, encoded ones neither")]
    Control,
    /// `//`, which servers read in different ways.
    #[error("a path has no empty segments (`//`)")]
    Empty,
    /// A segment that is `.` or `..`, or becomes one for a server that decodes or trims further.
    #[error("`{0}` can be read as a step to another folder")]
    Dots(String),
}

/// The normal form of an absolute path: unreserved characters plain, all else encoded in upper
/// case, and only that which every server reads in the same way. What is matched is this, and what
/// is sent must be this.
pub fn normalise_path(path: &str) -> Result<String, PathError> {
    if path.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    let encoded = recode(path)?;
    if encoded.len() > MAX_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    let segments = encoded.strip_prefix('/').ok_or(PathError::Relative)?;
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(PathError::Empty),
            "" => {}
            _ if steps_aside(segment) => return Err(PathError::Dots(super::shown(segment))),
            _ => {}
        }
    }
    Ok(encoded)
}

/// Whether a path is in its normal form already.
pub(crate) fn is_normal(path: &str) -> bool {
    normalise_path(path).is_ok_and(|normal| normal == path)
}

/// Whether a segment in normal form has no separator in it that a server could decode: none of
/// `/`, `\` and the `%` that would bring them back.
pub(crate) fn is_plain(segment: &str) -> bool {
    !["%2F", "%5C", "%25"]
        .iter()
        .any(|encoded| segment.contains(encoded))
}

fn recode(path: &str) -> Result<String, PathError> {
    let mut recoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = (bytes.next(), bytes.next());
                let (Some(high), Some(low)) = (digits.0.and_then(digit), digits.1.and_then(digit))
                else {
                    return Err(PathError::Escape);
                };
                let byte = high << 4 | low;
                if byte.is_ascii_control() {
                    return Err(PathError::Control);
                }
                if is_unreserved(byte) {
                    recoded.push(char::from(byte));
                } else {
                    recoded.push_str(percent_encode_byte(byte));
                }
            }
            b'?' | b'#' => return Err(PathError::Query),
            _ if byte.is_ascii_control() => return Err(PathError::Control),
            b'/' => recoded.push('/'),
            _ if is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte) => {
                recoded.push(char::from(byte));
            }
            _ => recoded.push_str(percent_encode_byte(byte)),
        }
    }
    Ok(recoded)
}

fn digit(byte: u8) -> Option<u8> {
    let value = char::from(byte).to_digit(16)?;
    u8::try_from(value).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Whether some server, decoding once more or dropping what follows a `;`, would see an empty or
/// dotted segment, or a control character.
fn steps_aside(segment: &str) -> bool {
    let mut seen = segment.as_bytes().to_vec();
    for _ in 0..MAX_DECODINGS {
        let mut parts = seen.split(|b| matches!(b, b'/' | b'\\'));
        // Bytes that UTF-8 has only in longer ways to write ASCII, such as a dot.
        let odd = |byte: &u8| byte.is_ascii_control() || matches!(byte, 0xc0 | 0xc1);
        if parts.any(is_a_step) || seen.iter().any(odd) {
            return true;
        }
        let decoded: Vec<u8> = percent_decode(&seen).collect();
        if decoded == seen {
            return false;
        }
        seen = decoded;
    }
    true
}

/// Whether a segment is empty, `.` or `..` for a server that takes it up to what some take for the end
/// of a name: `;`, `?`, `#`, `:`, a blank of any kind. No name begins with dots and goes on so.
fn is_a_step(segment: &[u8]) -> bool {
    let dots = segment.iter().take_while(|byte| **byte == b'.').count();
    let next = segment.get(dots).copied();
    match dots {
        0 => matches!(next, None | Some(b';')),
        1 | 2 => next.is_none_or(|next| !is_unreserved(next)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_one_meaning() {
        for (path, normal) in [
            ("/", "/"),
            ("/a/", "/a/"),
            ("/%61%7e/b%2fc", "/a~/b%2Fc"),
            ("/a b|ü", "/a%20b%7C%C3%BC"),
            ("/a\\b", "/a%5Cb"),
            ("/...", "/..."),
            ("/.well-known/a", "/.well-known/a"),
            ("/..a", "/..a"),
            ("/a;v=1,2", "/a;v=1,2"),
            ("/100%25", "/100%25"),
        ] {
            assert_eq!(normalise_path(path).unwrap(), normal);
            assert!(is_normal(normal), "{normal}");
        }
    }

    #[test]
    fn nothing_that_servers_read_differently() {
        let long = format!("/{}", "ü".repeat(MAX_PATH_BYTES / 4));
        for (path, error) in [
            ("", PathError::Relative),
            ("a", PathError::Relative),
            ("/a?b", PathError::Query),
            ("/a#b", PathError::Query),
            ("/%", PathError::Escape),
            ("/%2", PathError::Escape),
            ("/%+1", PathError::Escape),
            ("/a\r\nb", PathError::Control),
            ("/a%0d%0Ab", PathError::Control),
            ("/a%00", PathError::Control),
            ("//a", PathError::Empty),
            ("/a//", PathError::Empty),
            (long.as_str(), PathError::TooLong),
        ] {
            assert_eq!(normalise_path(path), Err(error), "{path}");
        }
        for path in [
            "/a/../b",
            "/a/.",
            "/%2e%2E/b",
            "/.%2e",
            "/..;/b",
            "/.;a=b/c",
            "/;/b",
            "/..%3B/b",
            "/a%2F..%2Fb",
            "/..%5Cb",
            "/a\\..\\b",
            "/a%252F..%252Fb",
            "/%252e%252e",
            "/a%2F",
            "/a%250Ab",
            "/%25252525252525252e",
            "/a/..%20/b",
            "/..%C2%A0",
            "/a/..%3F/b",
            "/..%23",
            "/..:/b",
            "/.%20",
            "/%C0%AE%C0%AE/b",
            "/..%C0%AF",
        ] {
            assert!(
                matches!(normalise_path(path), Err(PathError::Dots(_))),
                "{path}: {:?}",
                normalise_path(path)
            );
        }
    }
}
