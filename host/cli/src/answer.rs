//! A tool's input from the command line, and its answer for people.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::layout::indented;
use crate::screen::{Screen, escaped, tool_text};

/// The input that `argument` means: JSON itself, `-` for standard input, `@FILE` for a file.
pub(crate) fn input(argument: &str) -> Result<String, Failure> {
    let (text, place) = match argument.strip_prefix('@') {
        Some(path) => {
            let text = fs::read_to_string(path);
            let text = text.map_err(|e| Failure::unreadable(Path::new(path), e))?;
            (text, path)
        }
        None if argument == "-" => {
            let mut text = String::new();
            io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| Failure::usage(format_args!("cannot read standard input: {e}")))?;
            (text, "standard input")
        }
        None => (argument.to_owned(), "the input"),
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::new(
            Exit::InvalidInput,
            format_args!("{place} is not JSON: {error}"),
        )
        .hint("write it as in '{\"name\": \"Ada\"}', in single quotes so that the shell leaves it alone")),
    }
}

/// Shows an output: its content, which is the form for people; its structured data, with the
/// members in the tool's own order, where there is no content. `--json` has both.
pub(crate) fn show(output: &RawValue, out: &mut dyn Write) -> io::Result<()> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(output.get())?;
    let content: Vec<Value> = match members.get("content") {
        Some(content) => serde_json::from_str(content.get())?,
        None => Vec::new(),
    };
    for item in &content {
        match &item["text"] {
            Value::String(text) => writeln!(out, "{}", tool_text(text.trim_end_matches('\n')))?,
            _ => writeln!(out, "{}", other_content(item))?,
        }
    }
    match members.get("structured") {
        Some(structured) if content.is_empty() => {
            writeln!(out, "{}", escaped(&indented(structured.get())))
        }
        _ => Ok(()),
    }
}

/// A line for what a terminal cannot show.
fn other_content(item: &Value) -> String {
    let text = |value: &Value| tool_text(value.as_str().unwrap_or_default());
    let resource = &item["resource"];
    if let Value::String(body) = &resource["text"] {
        return format!("[{}]\n{}", text(&resource["uri"]), tool_text(body));
    }
    let (what, data) = match resource {
        Value::Object(_) => (text(&resource["uri"]), &resource["blob"]),
        _ => (text(&item["mimeType"]), &item["data"]),
    };
    let bytes = data
        .as_str()
        .unwrap_or_default()
        .trim_end_matches('=')
        .len()
        * 3
        / 4;
    format!(
        "[{} {what}, {bytes} bytes; --json has them]",
        text(&item["type"])
    )
}

/// Which call it was and what it used, as far as either is known, on standard error.
pub(crate) fn show_usage(call: Option<&str>, usage: Option<&Value>, screen: Screen) {
    let call = call.map(|id| format!("call {id}"));
    let parts: Vec<String> = call.into_iter().chain(usage.map(used)).collect();
    if !parts.is_empty() {
        screen.aside(&parts.join(": "));
    }
}

/// What a call used, in one line.
fn used(usage: &Value) -> String {
    let number = |member: &str| usage[member].as_u64().unwrap_or_default();
    let mut parts = vec![
        format!("{} tokens", grouped(number("tokens"))),
        format!("{} fuel", grouped(number("fuel"))),
        format!(
            "{}.{:03} ms",
            number("time_us") / 1000,
            number("time_us") % 1000
        ),
        format!("{} KiB of memory", grouped(number("memory_bytes") >> 10)),
    ];
    for (member, unit) in [
        ("requests", "requests"),
        ("log_dropped", "log lines dropped"),
        ("masked", "credentials masked"),
    ] {
        if number(member) > 0 {
            parts.push(format!("{} {unit}", number(member)));
        }
    }
    format!("used {}", parts.join(", "))
}

/// So many things of a kind, as in `1 capsule` and `2 capsules`.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    fn shown(output: &Value) -> String {
        let mut out = Vec::new();
        show(&to_raw_value(output).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn shows_each_kind_of_answer() {
        assert_eq!(shown(&json!({"structured": "hi"})), "\"hi\"\n");
        assert_eq!(shown(&json!({"structured": null})), "null\n");
        assert_eq!(shown(&json!({})), "");
        let mut out = Vec::new();
        let output =
            RawValue::from_string("{\"structured\":{\"b\":1.0,\"a\":\"\u{202e}\"}}".into());
        show(&output.unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{\n  \"b\": 1.0,\n  \"a\": \"\\u202e\"\n}\n");
        let content = json!({"structured": 1, "content": [
            {"type": "text", "text": "# One\n"},
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "resource", "resource": {"uri": "a:b", "text": "body"}},
            {"type": "resource", "resource": {"uri": "a:c", "blob": "AA=="}},
        ]});
        assert_eq!(
            shown(&content),
            "# One\n[image image/png, 3 bytes; --json has them]\n[a:b]\nbody\n[resource a:c, 1 bytes; --json has them]\n"
        );
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(
            [0, 1, 2].map(|number| counted(number, "row")),
            ["0 rows", "1 row", "2 rows"]
        );
    }

    #[test]
    fn groups_digits() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1_000", "1_234_567"]
        );
    }

    #[test]
    fn input_must_be_json() {
        assert_eq!(input(" {\"a\": 1} ").unwrap(), " {\"a\": 1} ");
        assert!(
            input("{a: 1}")
                .unwrap_err()
                .message()
                .starts_with("the input is not JSON")
        );
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let refused = input(&format!("@{}", missing.display())).unwrap_err();
        let words = format!("cannot read {}", missing.display());
        assert!(refused.message().starts_with(&words));
    }
}
