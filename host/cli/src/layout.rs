//! JSON texts laid out anew. Only the space around values changes: members keep their order and
//! numbers their digits, so that what was hashed can be found again.

/// Deeper than this, lines begin no further to the right: a text can be nested without end.
const MAX_DEPTH: usize = 64;

/// Which characters of a JSON text are in strings.
#[derive(Default)]
struct Strings {
    is_open: bool,
    is_escaped: bool,
}

impl Strings {
    /// Whether the next character is of a string; its quotes are.
    fn has(&mut self, c: char) -> bool {
        let was_open = self.is_open;
        match c {
            _ if self.is_escaped => self.is_escaped = false,
            '\\' => self.is_escaped = was_open,
            '"' => self.is_open = !was_open,
            _ => {}
        }
        was_open || self.is_open
    }
}

/// A JSON text without space around its values.
pub(crate) fn compact(json: &str) -> String {
    let mut strings = Strings::default();
    let is_kept = |c: &char| strings.has(*c) || !matches!(c, ' ' | '\t' | '\n' | '\r');
    json.chars().filter(is_kept).collect()
}

/// A JSON text with a line for each value.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(2 * json.len());
    let mut strings = Strings::default();
    let (mut depth, mut was_opened) = (0_usize, false);
    for c in compact(json).chars() {
        let is_of_string = strings.has(c);
        let opens = !is_of_string && matches!(c, '{' | '[');
        let closes = !is_of_string && matches!(c, '}' | ']');
        depth = depth.saturating_sub(usize::from(closes));
        // What is empty has no line in it.
        if was_opened != closes {
            begin_line(&mut text, depth);
        }
        text.push(c);
        depth += usize::from(opens);
        was_opened = opens;
        match c {
            ',' if !is_of_string => begin_line(&mut text, depth),
            ':' if !is_of_string => text.push(' '),
            _ => {}
        }
    }
    text
}

fn begin_line(text: &mut String, depth: usize) {
    text.push('\n');
    for _ in 0..depth.min(MAX_DEPTH) {
        text.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        " {\"b\": [1.0, 1e3,\n{}], \"a \\\" b\": \"x: { y,\\\\\", \"c\" :[ ] , \"d\":null}\n";

    #[test]
    fn only_space_around_values_goes() {
        assert_eq!(
            compact(TEXT),
            "{\"b\":[1.0,1e3,{}],\"a \\\" b\":\"x: { y,\\\\\",\"c\":[],\"d\":null}"
        );
        assert_eq!(compact(" \"a b\"\n"), "\"a b\"");
    }

    #[test]
    fn lines_begin_where_serde_begins_them() {
        // Of one member each, since a map would put them in another order.
        for json in ["{\"a\":[1,{\"b\":\"c: {,\"}]}", "[]", "[{},[],[[]]]", "1"] {
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            assert_eq!(
                indented(json),
                serde_json::to_string_pretty(&value).unwrap()
            );
        }
        assert_eq!(compact(&indented(TEXT)), compact(TEXT));
        let deep = format!("{}{}", "[".repeat(9000), "]".repeat(9000));
        assert!(indented(&deep).len() < 9000 * 2 * (2 * MAX_DEPTH + 3));
    }
}
