//! What commands show: results on standard output (for people, or JSON), all else on standard
//! error. No text from a host or a capsule reaches a terminal with control characters in it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// How this run of `soma` shows things.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Results as JSON.
    pub(crate) json: bool,
}

impl Screen {
    /// Shows a result: `value` with `--json`, else what `human` writes.
    pub(crate) fn show(
        self,
        value: &impl Serialize,
        human: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        if self.json {
            writeln!(out, "{}", json_text(value)?)?;
        } else {
            human(&mut out)?;
        }
        out.flush()?;
        Ok(())
    }

    /// One step of a long command, such as `Packing hello.wasm`, on standard error. With `--json`
    /// nothing: there is only the error, if there is one.
    pub(crate) fn step(self, verb: &str, what: &str) {
        if !self.json {
            complain(&format!("{GOOD}{verb:>12}{GOOD:#} {}", visible(what)));
        }
    }

    /// Something to know that is no result, faint, on standard error; nothing with `--json`.
    pub(crate) fn aside(self, text: &str) {
        if !self.json {
            complain(&format!("{FAINT}{}{FAINT:#}", visible(text)));
        }
    }

    /// Lines that are fit for a terminal already, on standard error; nothing with `--json`.
    pub(crate) fn drawn(self, lines: &[String]) {
        if !self.json {
            lines.iter().for_each(|line| complain(line));
        }
    }

    /// Why the command failed, on standard error.
    pub(crate) fn failure(self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            complain(&failure.to_json().to_string());
            return;
        }
        let mut text = format!("{BAD}error{BAD:#}: {}", visible(failure.message()));
        for line in failure.detail_lines() {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {}", visible(line));
        }
        if let Some(hint) = failure.hint_text() {
            let _ = write!(text, "\n{NOTE}hint{NOTE:#}: {}", visible(hint));
        }
        complain(&text);
    }
}

/// How wide the terminal is that one of the standard streams goes to; none where it goes elsewhere.
pub(crate) fn width(stream: impl AsFd) -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(stream)?;
    Some(width.0.into())
}

/// Writes a line to standard error. Where that is closed there is nobody to tell.
fn complain(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// A heading.
pub(crate) fn strong(text: &str) -> String {
    format!("{STRONG}{}{STRONG:#}", visible(text))
}

/// Something of less weight.
pub(crate) fn faint(text: &str) -> String {
    format!("{FAINT}{}{FAINT:#}", visible(text))
}

/// Pretty JSON in which every character is fit for a terminal, escaped as JSON escapes.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let pretty = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    Ok(escaped(&pretty))
}

/// A JSON text in which every character is fit for a terminal.
pub(crate) fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_fit(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// The JSON text that [`escaped`] was given, where that had none of these characters escaped before.
pub(crate) fn unescaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at..];
        let digits = escape.strip_prefix("\\u").and_then(|it| it.get(..4));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let c = code.and_then(char::from_u32);
        // What JSON has escaped in any case stays so.
        if let Some(c) = c.filter(|c| *c >= '\u{7f}' && !is_fit(*c)) {
            text.push(c);
            rest = &escape[6..];
        } else {
            let escaped = escape.chars().nth(1).map_or(0, char::len_utf8);
            let (escape, after) = escape.split_at(1 + escaped);
            text.push_str(escape);
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

/// A text with its control and bidirectional characters written out, as in `\u{1b}`.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_fit(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

/// A tool's text: as it is into a file or a pipe, made visible on a terminal.
pub(crate) fn tool_text(text: &str) -> String {
    if io::stdout().is_terminal() {
        visible(text)
    } else {
        text.to_owned()
    }
}

/// Whether it neither controls a terminal nor turns text around.
pub(crate) fn is_fit(c: char) -> bool {
    let bidirectional = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(c, '\n' | '\t') || !(c.is_control() || bidirectional)
}

/// Rows under headings, as wide as the terminal at most. Without rows, `nothing` is said instead.
pub(crate) fn table(
    out: &mut dyn Write,
    headings: &[&str],
    mut rows: Vec<Vec<String>>,
    nothing: &str,
) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "{nothing}");
    }
    let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    for cell in rows.iter_mut().flatten() {
        *cell = visible(cell);
    }
    let table = arranged(headings, &rows, width);
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        if number == 0 {
            writeln!(out, "{STRONG}{line}{STRONG:#}")?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// The table of a width, in which no id and no time is broken.
fn arranged(headings: &[&str], rows: &[Vec<String>], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(headings.iter().map(|h| h.to_uppercase()))
        .add_rows(rows);
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let cells = rows.iter().filter_map(|row| row.get(at));
        let words = cells.flat_map(|cell| cell.split_whitespace());
        let whole = words.filter(|word| is_whole(word)).map(str::len).max();
        if let Some(whole) = whole.and_then(|whole| u16::try_from(whole).ok()) {
            // The space to the next column counts.
            let least = Width::Fixed(whole.saturating_add(2));
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
        }
    }
    table
}

/// Whether it is to be read, and copied, in one piece: an id, a time, a number.
fn is_whole(word: &str) -> bool {
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_id = || word.len() >= 10 && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_number || is_id() || word.parse::<Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_controls_a_terminal_gets_through() {
        let hostile = "a\x1b[2Jb\u{9b}c\u{202e}d\r\ne\tf";
        assert_eq!(
            visible(hostile),
            "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{d}\ne\tf"
        );
        let text = json_text(&json!({"t": hostile})).unwrap();
        assert!(text.chars().all(is_fit), "{text}");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["t"], hostile);
    }

    #[test]
    fn what_was_escaped_for_a_terminal_is_as_it_was_again() {
        let json = serde_json::to_string("a\\u202e\x1b\"\u{9b}é\u{202e}\u{7f}").unwrap();
        assert_ne!(escaped(&json), json);
        assert_eq!(unescaped(&escaped(&json)), json);
        for odd in ["\\", "\\u", "\\u20", "\\ué", "\\é"] {
            assert_eq!(unescaped(odd), odd);
        }
    }

    #[test]
    fn no_id_and_no_time_breaks_in_a_narrow_table() {
        let words = "a name of many words that takes much more room than there is for it";
        let (id, time) = ("3f9a0c1d2e4b5a69", "2027-01-01T00:00:00Z");
        let row = [id, "acme", words, words, words, &format!("until {time}")];
        let rows = vec![row.map(str::to_owned).to_vec()];
        let headings = ["id", "tenant", "name", "scopes", "tools", "state"];
        for width in [60, 70, 80, 120] {
            let text = arranged(&headings, &rows, Some(width)).to_string();
            assert!(text.contains(id) && text.contains(time), "{width}:\n{text}");
        }
    }

    #[test]
    fn a_table_is_aligned_and_plain() {
        let mut out = Vec::new();
        let rows = vec![
            vec!["soma/jq".to_owned(), "1".to_owned()],
            vec!["a/b".to_owned(), "\x1b2".to_owned()],
        ];
        table(&mut out, &["capsule", "version"], rows, "none").unwrap();
        let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        assert_eq!(text, "CAPSULE  VERSION\nsoma/jq  1\na/b      \\u{1b}2\n");
    }
}
