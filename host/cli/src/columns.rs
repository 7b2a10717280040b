//! Changes as they are drawn: the old beside the new where the terminal is wide enough, below each
//! other elsewhere. What authors write stays in its column: it begins no line and no mark.

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use unicode_width::UnicodeWidthChar;

use crate::difference::Change;
use crate::screen::is_fit;

/// Terminals from this width on show two columns.
const WIDE: usize = 100;
/// Less than this cannot be wrapped to.
const NARROW: usize = 20;
/// Lines that are the same, shown before and after those that differ.
const AROUND: usize = 2;
/// How long it is looked for the fewest differences.
const PATIENCE: Duration = Duration::from_secs(1);
/// Marks that may stand on one letter. More would reach into the lines around it.
const MARKS: usize = 2;
const BETWEEN: char = '│';

const HEADING: Style = Style::new().bold();
const GONE: Style = AnsiColor::Red.on_default();
const COME: Style = AnsiColor::Green.on_default();
const FAINT: Style = Style::new().dimmed();

/// One line of the one text and of the other.
enum Row<'a> {
    Same(&'a str),
    Differs(Option<&'a str>, Option<&'a str>),
    /// So many more that are the same.
    Alike(usize),
}

/// The lines of these changes, for a terminal of this width; none where it is no terminal, whose
/// lines can be of any length.
pub(crate) fn draw(changes: &[Change], width: Option<usize>) -> Vec<String> {
    // The last cell stays free: some terminals begin a new line by themselves when it is taken.
    let width = width.map(|width| width.saturating_sub(1).max(NARROW));
    let mut lines = Vec::new();
    for change in changes {
        match change {
            Change::Said(words) => {
                let pieces = wrapped(words, width.map(|width| width - 2));
                lines.extend(
                    pieces
                        .into_iter()
                        .map(|it| format!("  {HEADING}{it}{HEADING:#}")),
                );
            }
            Change::Text { what, old, new } => {
                let pieces = wrapped(&format!("{what}:"), width.map(|width| width - 2));
                lines.extend(
                    pieces
                        .into_iter()
                        .map(|it| format!("  {HEADING}{it}{HEADING:#}")),
                );
                let (old, new) = (split(old.as_deref()), split(new.as_deref()));
                let rows = rows(&old, &new);
                let is_beside = !old.is_empty() && !new.is_empty() && !is_mirrored(&old, &new);
                match width.filter(|width| *width >= WIDE - 1 && is_beside) {
                    Some(width) => beside(&rows, width, &mut lines),
                    None => below(&rows, width, &mut lines),
                }
            }
        }
    }
    lines
}

fn split(text: Option<&str>) -> Vec<&str> {
    text.map(|text| text.split('\n').collect())
        .unwrap_or_default()
}

/// Whether a terminal may turn letters of these texts around, and with them what stands between.
fn is_mirrored(old: &[&str], new: &[&str]) -> bool {
    let mut letters = old.iter().chain(new).flat_map(|line| line.chars());
    letters.any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

fn rows<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Row<'a>> {
    let end = Instant::now() + PATIENCE;
    let ops = capture_diff_slices_deadline(Algorithm::Myers, old, new, Some(end));
    let last = ops.len().saturating_sub(1);
    let mut rows = Vec::new();
    for (position, op) in ops.iter().enumerate() {
        if let DiffOp::Equal { old_index, len, .. } = *op {
            let head = if position == 0 { 0 } else { AROUND };
            let tail = if position == last { 0 } else { AROUND };
            same(&old[old_index..old_index + len], head, tail, &mut rows);
            continue;
        }
        let (was, is) = (&old[op.old_range()], &new[op.new_range()]);
        for line in 0..was.len().max(is.len()) {
            rows.push(Row::Differs(was.get(line).copied(), is.get(line).copied()));
        }
    }
    rows
}

/// The first and the last of lines that are the same.
fn same<'a>(lines: &[&'a str], head: usize, tail: usize, rows: &mut Vec<Row<'a>>) {
    // What says that lines are left out takes one itself.
    if lines.len() <= head + tail + 1 {
        rows.extend(lines.iter().copied().map(Row::Same));
        return;
    }
    rows.extend(lines[..head].iter().copied().map(Row::Same));
    rows.push(Row::Alike(lines.len() - head - tail));
    let tail = &lines[lines.len() - tail..];
    rows.extend(tail.iter().copied().map(Row::Same));
}

fn alike(how_many: usize) -> String {
    let lines = if how_many == 1 { "line" } else { "lines" };
    format!("… {how_many} {lines} as before")
}

/// One column. A line that goes on in the next has its mark there too.
fn below(rows: &[Row<'_>], width: Option<usize>, lines: &mut Vec<String>) {
    let width = width.map(|width| width - 6);
    let mut say = |mark: &str, text: &str, style: Style| {
        for piece in wrapped(text, width) {
            lines.push(format!("    {style}{mark} {piece}{style:#}"));
        }
    };
    // What came is said after all that it came for.
    let mut come: Vec<&str> = Vec::new();
    for row in rows {
        if let Row::Differs(was, is) = row {
            was.iter().for_each(|line| say("-", line, GONE));
            come.extend(is);
            continue;
        }
        come.drain(..).for_each(|line| say("+", line, COME));
        match row {
            Row::Alike(how_many) => say(" ", &alike(*how_many), FAINT),
            Row::Same(line) => say(" ", line, Style::new()),
            Row::Differs(..) => {}
        }
    }
    come.drain(..).for_each(|line| say("+", line, COME));
}

/// Two columns, the same lines at the same height.
fn beside(rows: &[Row<'_>], width: usize, lines: &mut Vec<String>) {
    // Two cells before, a mark and a space before each text, and ` │ ` between.
    let column = (width - 2 - 2 - 3 - 2) / 2;
    for row in rows {
        let (was, is, marks) = match row {
            Row::Alike(how_many) => {
                lines.push(format!("    {FAINT}{}{FAINT:#}", alike(*how_many)));
                continue;
            }
            Row::Same(line) => (Some(*line), Some(*line), None),
            Row::Differs(was, is) => (*was, *is, Some((("-", GONE), ("+", COME)))),
        };
        let pieces = |text: Option<&str>| text.map(|text| wrapped(text, Some(column)));
        let (was, is) = (
            pieces(was).unwrap_or_default(),
            pieces(is).unwrap_or_default(),
        );
        for line in 0..was.len().max(is.len()) {
            let old = cell(was.get(line), marks.map(|(gone, _)| gone));
            let new = cell(is.get(line), marks.map(|(_, come)| come));
            let taken = was.get(line).map_or(0, |piece| cells(piece));
            let room = " ".repeat(column.saturating_sub(taken));
            // To this very column, whatever the terminal takes a letter's width to be.
            let at = 2 + 2 + column + 2;
            let between = format!("\x1b[{at}G{FAINT}{BETWEEN}{FAINT:#}");
            lines.push(format!("  {old}{room} {between} {new}"));
        }
    }
}

fn cell(piece: Option<&String>, mark: Option<(&str, Style)>) -> String {
    match (piece, mark) {
        (Some(piece), Some((mark, style))) => format!("{style}{mark} {piece}{style:#}"),
        (Some(piece), None) => format!("  {piece}"),
        (None, _) => "  ".to_owned(),
    }
}

/// A line in pieces of so many cells at most, broken at spaces where there are some; whole without
/// a width. Nothing in it controls the terminal, is not seen, or can be taken for the line between
/// the columns.
fn wrapped(line: &str, width: Option<usize>) -> Vec<String> {
    let letters = letters(line);
    let width = width.unwrap_or(usize::MAX).max(10);
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let (mut taken, mut after_space) = (0, None);
    for letter in letters {
        let wide = letter.chars().map(most_cells).sum::<usize>();
        if taken + wide > width {
            let rest = piece.split_off(after_space.unwrap_or(piece.len()));
            pieces.push(std::mem::replace(&mut piece, rest));
            taken = piece.chars().map(most_cells).sum();
            after_space = None;
        }
        piece.push_str(&letter);
        taken += wide;
        if letter == " " {
            after_space = Some(piece.len());
        }
    }
    pieces.push(piece);
    pieces
}

/// What is never torn apart: a letter with the marks on it, or a character written out.
fn letters(line: &str) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    let mut marks = 0;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        let is_mark = is_combining(c);
        marks = if is_mark { marks + 1 } else { 0 };
        let is_last = characters.peek().is_none();
        match letters.last_mut() {
            Some(letter) if is_mark && marks <= MARKS => letter.push(c),
            _ if is_plain(c) && !(c == ' ' && is_last) => letters.push(c.to_string()),
            _ => letters.push(c.escape_unicode().to_string()),
        }
    }
    letters
}

/// Whether it is seen as what it is.
fn is_plain(c: char) -> bool {
    let is_seen = c.width().is_some_and(|width| width > 0);
    is_seen && is_fit(c) && c != BETWEEN && (c == ' ' || !c.is_whitespace())
}

/// Whether it stands on the letter before it. What is not seen for another reason is written out.
fn is_combining(c: char) -> bool {
    c.width() == Some(0)
        && soma_capability::text::line(c.encode_utf8(&mut [0; 4]), 1).is_ok()
        && !matches!(
            c,
            '\u{200c}' | '\u{200d}' | '\u{fe00}'
                ..='\u{fe0f}'
                    | '\u{34f}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{3164}'
                    | '\u{ffa0}'
        )
}

/// Cells that a terminal takes for it.
fn cells(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// The same where the terminal takes what can be narrow or wide to be wide.
fn most_cells(c: char) -> usize {
    c.width_cjk().unwrap_or(0).max(c.width().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(what: &str, old: &str, new: &str) -> Change {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Change::Text {
            what: what.to_owned(),
            old: some(old),
            new: some(new),
        }
    }

    /// As a terminal shows it that takes every letter for as wide as it is.
    fn drawn(changes: &[Change], width: Option<usize>) -> String {
        let lines = draw(changes, width);
        let lines = lines.iter().map(|line| {
            let plain = anstream::adapter::strip_str(line).to_string();
            assert!(!plain.contains('\n'), "{plain}");
            if let Some(width) = width {
                assert!(cells(&plain) < width, "{plain}");
            }
            plain.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    const HOSTILE: &str =
        "Reads.\n  + asks for nothing\x1b[2J │ + Reads.\u{202e}\u{200b}\ta\u{301}\u{301}\u{301} ";

    #[test]
    fn the_old_beside_the_new() {
        let schema = |last: &str| {
            let members = (0..9).map(|n| format!("  \"m{n}\": 1,\n"));
            format!("{{\n{}  \"z\": {last}\n}}", members.collect::<String>())
        };
        let changes = [
            Change::Said("version 1.0.0 → 1.1.0".to_owned()),
            text(
                "tool read: description",
                "Reads the weather of a city.",
                "Reads the weather of a city, and sends what it was asked to a server of ours.",
            ),
            text("tool read: inputSchema", &schema("true"), &schema("false")),
            text("tool write, new: description", "", "天気を書く。"),
            text("tool wide: description", "天気を読む。", HOSTILE),
        ];
        let expected = "  version 1.0.0 → 1.1.0
  tool read: description:
  - Reads the weather of a city.                  │ + Reads the weather of a city, and sends what
                                                  │ + it was asked to a server of ours.
  tool read: inputSchema:
    … 8 lines as before
      \"m7\": 1,                                    │     \"m7\": 1,
      \"m8\": 1,                                    │     \"m8\": 1,
  -   \"z\": true                                   │ +   \"z\": false
    }                                             │   }
  tool write, new: description:
    + 天気を書く。
  tool wide: description:
  - 天気を読む。                                  │ + Reads.
                                                  │ +   + asks for nothing\\u{1b}[2J \\u{2502} +
                                                  │ + Reads.\\u{202e}\\u{200b}\\u{9}a\u{301}\u{301}\\u{301}\\u{20}
";
        assert_eq!(drawn(&changes, Some(101)), expected);
    }

    #[test]
    fn below_each_other_where_there_is_no_room() {
        let changes = [
            text("asks for", "a\nb\nc", "a\nd and a little more of it\ne\nc"),
            text("tool x: description", "", HOSTILE),
        ];
        let expected = "  asks for:
      a
    - b
    + d and a little
    + more of it
    + e
      c
  tool x: description:
    + Reads.
    +   + asks for
    + nothing\\u{1b}[2J
    + \\u{2502} +
    + Reads.\\u{202e}
    + \\u{200b}\\u{9}a\u{301}\u{301}
    + \\u{301}\\u{20}
";
        assert_eq!(drawn(&changes, Some(26)), expected);
        let whole = drawn(&changes, None);
        assert!(
            whole.contains("    + d and a little more of it\n"),
            "{whole}"
        );
    }

    #[test]
    fn what_is_read_from_the_right_is_not_beside_anything() {
        let changes = [text("description", "abc", "אבג")];
        assert_eq!(
            drawn(&changes, Some(140)),
            "  description:\n    - abc\n    + אבג\n"
        );
    }

    #[test]
    fn no_width_and_no_text_is_too_much_or_too_little() {
        let long = "x".repeat(5000);
        for width in [0, 1, 20, 99, 100, 101, 140, 500] {
            let changes = [
                text(&long, &long, HOSTILE),
                text("", "\n\n", &"字".repeat(999)),
            ];
            draw(&changes, Some(width));
        }
        assert_eq!(drawn(&[], Some(80)), "");
    }
}
