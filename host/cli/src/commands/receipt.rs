//! `soma receipt`: what proves a call, fetched from the host that ran it and checked without one.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use soma_host::{Hashed, MAX_RECEIPT_BYTES, ProvenCall, Receipt};
use soma_registry::log::LogKey;
use soma_registry::owner_only;

use super::audit::log_key;
use crate::answer::grouped;
use crate::client::{Client, HostArgs, LocalKey};
use crate::clock::day_and_time;
use crate::failure::Failure;
use crate::invocation_id;
use crate::layout::compact;
use crate::named_file;
use crate::screen::{Screen, json_text, strong, unescaped, visible};

#[derive(clap::Subcommand)]
pub(crate) enum ReceiptCommand {
    Get(Get),
    Verify(Verify),
}

/// Fetch the receipt of a call, which is in the host's audit log
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma receipt get 01a20571-f123-768b-ace1-a3a60eceeeca --save receipt.json
  SOMA_KEY=$ADMIN_KEY soma receipt get 01a20571-f123-768b-ace1-a3a60eceeeca

An answer names its call in `invocation`, a problem too. Whoever has a receipt can tell of any text
whether it was the call's input or output: it is as private as they are.")]
pub(crate) struct Get {
    /// The call's invocation
    #[arg(value_name = "INVOCATION")]
    id: String,

    /// Keep it in this file, which must not be there yet, in place of showing it
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,
}

/// Check a receipt, asking nobody, and show what it proves
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma receipt verify receipt.json --key VKEY
  soma receipt verify receipt.json --key VKEY --input input.json --output answer.json
  soma receipt verify receipt.json --any-key

VKEY is the host's, as `soma audit verify` shows it to the host's administrator. Texts are compared
to the byte, as they are and without the space around their values: the input as it was sent, the
output as it stands in the answer. The whole answer will do for that, as `soma call --json` or curl
writes it; its other members are not compared.")]
pub(crate) struct Verify {
    /// The receipt
    file: PathBuf,

    /// The host's key: without it, anybody could have made the receipt
    #[arg(long, value_name = "VKEY", value_parser = log_key)]
    key: Option<LogKey>,

    /// Take whichever key the receipt names, and check only that all of it fits together
    #[arg(long, conflicts_with = "key")]
    any_key: bool,

    /// What the input should have been
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// What the output should have been: the file may have the whole answer
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Of an answer, which call it is of, and the output as it is written there.
#[derive(Deserialize)]
struct Answer<'a> {
    invocation: Option<String>,
    #[serde(borrow)]
    output: &'a RawValue,
}

impl ReceiptCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Get(get) => get.run(screen).await,
            Self::Verify(verify) => verify.run(screen),
        }
    }
}

impl Get {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        invocation_id::check(&self.id)?;
        let client = Client::new(self.host, LocalKey::Invoke)?;
        let answer = client
            .get(&["invocations", &self.id, "receipt"], &[])
            .await?;
        let receipt: Receipt = serde_json::from_value(answer).map_err(Failure::damaged)?;
        receipt.prove(None).map_err(Failure::damaged)?;
        let text = json_text(&receipt)?;
        let Some(file) = self.save else {
            return screen.show(&receipt, |out| writeln!(out, "{text}"));
        };
        owner_only::create(&file, &format!("{text}\n")).map_err(|error| {
            let shown = file.display();
            match error.kind() {
                ErrorKind::AlreadyExists => {
                    Failure::usage(format_args!("{shown} is there already"))
                }
                _ => Failure::usage(format_args!("cannot write {shown}: {error}")),
            }
        })?;
        let file = file.display().to_string();
        screen.show(&json!({"file": file, "key": receipt.key}), |out| {
            writeln!(out, "kept in {}", visible(&file))?;
            writeln!(out, "  signed by {}", visible(&receipt.key))
        })
    }
}

impl Verify {
    fn run(self, screen: Screen) -> Result<(), Failure> {
        let receipt = read(&self.file)?;
        let proven = receipt.prove(self.key.as_ref()).map_err(Failure::failed)?;
        if self.key.is_none() && !self.any_key {
            return Err(Failure::failed(
                "the receipt fits together, but whose key signed it was not checked: anybody could \
                 have made both",
            )
            .hint(
                "give the host's own with --key, which `soma audit verify` shows to its \
                 administrator; --any-key checks no more than this",
            ));
        }
        let mut compared = Vec::new();
        for (what, file) in [(Hashed::Input, &self.input), (Hashed::Output, &self.output)] {
            if let Some(file) = file {
                compare(&proven, what, file)?;
                compared.push((what, file.as_path()));
            }
        }
        let is_pinned = self.key.is_some();
        let is_compared = |what| compared.iter().any(|(it, _)| *it == what);
        let value = json!({
            "verdict": if is_pinned { "verified" } else { "consistent" },
            "record": proven.record,
            "index": proven.index,
            "size": proven.size,
            "signed_at": day_and_time(proven.signed_at),
            "key": proven.key.to_string(),
            "pinned": is_pinned,
            "input": is_compared(Hashed::Input).then_some(true),
            "output": is_compared(Hashed::Output).then_some(true),
        });
        screen.show(&value, |out| {
            writeln!(out, "{}", visible(&verdict(&proven, is_pinned)))?;
            show_call(&proven.record, out)?;
            for (what, file) in &compared {
                row(out, name(*what), &format!("as in {}", file.display()))?;
            }
            show_log(&proven, out)
        })
    }
}

fn read(file: &Path) -> Result<Receipt, Failure> {
    let text = named_file::text(file, MAX_RECEIPT_BYTES);
    let text = text.map_err(|e| Failure::unreadable(file, e))?;
    serde_json::from_str(&text).map_err(|e| {
        Failure::usage(format_args!("{} is no receipt: {e}", file.display()))
            .hint("`soma receipt get INVOCATION --save FILE` writes one")
    })
}

/// Goes on where a file has the text that was recorded.
fn compare(proven: &ProvenCall, what: Hashed, file: &Path) -> Result<(), Failure> {
    let name = name(what);
    let bytes = named_file::beginning(file, MAX_RECEIPT_BYTES);
    let bytes = bytes.map_err(|e| Failure::unreadable(file, e))?;
    let call = proven.record["invocation"].as_str().unwrap_or_default();
    for text in texts(&bytes, what, call) {
        match proven.is_text(what, &text) {
            Some(true) => return Ok(()),
            Some(false) => {}
            None => {
                let words = format_args!("of this call no {name} is recorded");
                return Err(Failure::failed(words));
            }
        }
    }
    let shown = file.display();
    if what == Hashed::Output
        && let Some(other) = named_call(&bytes).filter(|named| named != call)
    {
        let words = format_args!("{shown} has the answer to another call, {other}");
        return Err(Failure::failed(words));
    }
    let failure = Failure::failed(format_args!("{shown} has not the {name} of this call"));
    Err(failure.hint(match what {
        Hashed::Input => "it is compared to the byte, but for the space around its values",
        Hashed::Output => {
            "it is compared to the byte, but for the space around its values: `soma call --json` \
             writes it as it was hashed, and without --json it may be shown in part"
        }
    }))
}

/// What a file can mean: all of it, all but the newline that ends it, the output in this call's
/// answer, what is shown of an output; and these without the space around their values.
fn texts<'a>(bytes: &'a [u8], what: Hashed, call: &str) -> Vec<Cow<'a, [u8]>> {
    let mut texts = vec![Cow::Borrowed(bytes)];
    texts.extend(bytes.strip_suffix(b"\n").map(Cow::Borrowed));
    let Ok(json) = serde_json::from_slice::<&RawValue>(bytes) else {
        return texts;
    };
    let json = json.get();
    let mut laid_out = vec![json.to_owned()];
    if what == Hashed::Output {
        if let Ok(Answer { invocation, output }) = serde_json::from_slice(bytes)
            && invocation.is_none_or(|named| named == call)
        {
            laid_out.push(output.get().to_owned());
        }
        laid_out.push(format!("{{\"structured\":{json}}}"));
    }
    for text in laid_out {
        let compact = compact(&text);
        // What `soma` writes has some characters escaped.
        let raw = [unescaped(&text), unescaped(&compact)];
        for text in [text, compact].into_iter().chain(raw) {
            let text = text.into_bytes();
            if !texts.iter().any(|known| **known == *text) {
                texts.push(Cow::Owned(text));
            }
        }
    }
    texts
}

/// The call that an answer says it is of.
fn named_call(bytes: &[u8]) -> Option<String> {
    let answer: Answer<'_> = serde_json::from_slice(bytes).ok()?;
    answer.invocation
}

/// What all of it comes to.
fn verdict(proven: &ProvenCall, is_pinned: bool) -> String {
    let text = |member: &str| proven.record[member].as_str().unwrap_or_default();
    if !is_pinned {
        return "consistent, but whose key it is was not checked: give --key (`soma audit verify` \
                shows it to the host's administrator)"
            .to_owned();
    }
    format!(
        "verified: the call {} of {}/{} is in the log of {}, signed {}",
        text("invocation"),
        text("capsule"),
        text("tool"),
        proven.key.origin(),
        day_and_time(proven.signed_at)
    )
}

fn name(what: Hashed) -> &'static str {
    match what {
        Hashed::Input => "input",
        Hashed::Output => "output",
    }
}

fn row(out: &mut dyn Write, name: &str, value: &str) -> io::Result<()> {
    writeln!(out, "  {name:<12} {}", visible(value))
}

/// What was recorded.
fn show_call(record: &Value, out: &mut dyn Write) -> io::Result<()> {
    let text = |member: &str| record[member].as_str().unwrap_or_default();
    let title = format!("{} {}", text("capsule"), text("tool"));
    writeln!(out, "{}", strong(&title))?;
    let is_refused = record["kind"] == "refusal";
    let outcome = match is_refused {
        true => format!("refused: {}", text("outcome")),
        false => text("outcome").to_owned(),
    };
    row(out, "outcome", &outcome)?;
    for member in [
        "time",
        "invocation",
        "within",
        "digest",
        "tenant",
        "key",
        "prices",
        "engine",
    ] {
        if !text(member).is_empty() {
            row(out, member, text(member))?;
        }
    }
    if !is_refused {
        for member in ["fuel", "tokens"] {
            // What is 0 is not in the record.
            let number = record["usage"][member].as_u64().unwrap_or_default();
            row(out, member, &grouped(number))?;
        }
    }
    for request in record["egress"].as_array().into_iter().flatten() {
        row(out, "request", &request_text(request))?;
    }
    Ok(())
}

fn request_text(request: &Value) -> String {
    let text = |member: &str| request[member].as_str().unwrap_or_default();
    let outcome = match (&request["status"], &request["link_seconds"]) {
        (Value::Number(status), _) => status.to_string(),
        (_, Value::Number(seconds)) => format!("given away as a link for {seconds} s"),
        _ => text("error").to_owned(),
    };
    format!(
        "{} {}{} → {outcome}",
        text("method"),
        text("origin"),
        text("path")
    )
}

/// Where it is recorded, and who says so.
fn show_log(proven: &ProvenCall, out: &mut dyn Write) -> io::Result<()> {
    let place = format!("{} of {} in the log", proven.index, proven.size);
    row(out, "record", &place)?;
    row(out, "signed", &day_and_time(proven.signed_at))?;
    row(out, "signed by", &proven.key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_text_or_has_it() {
        let text = |bytes: &[u8], what| -> Vec<String> {
            let texts = texts(bytes, what, "i").into_iter();
            texts
                .map(|text| String::from_utf8(text.to_vec()).unwrap())
                .collect()
        };
        assert_eq!(text(b"{}", Hashed::Input), ["{}"]);
        assert_eq!(text(b"no JSON\n", Hashed::Input), ["no JSON\n", "no JSON"]);
        assert_eq!(text(b"{}\n\n", Hashed::Input), ["{}\n\n", "{}\n", "{}"]);
        assert_eq!(text(b"[1, 2]", Hashed::Input), ["[1, 2]", "[1,2]"]);
        let shown = "{\n  \"b\": 1\n}";
        let found = text(shown.as_bytes(), Hashed::Output);
        assert!(
            found.contains(&"{\"structured\":{\"b\":1}}".to_owned()),
            "{found:?}"
        );
        let answer = "{\"invocation\":\"i\",\"output\":{\"b\": 1,\"a\":2},\"usage\":{}}";
        let found = text(answer.as_bytes(), Hashed::Output);
        for output in ["{\"b\": 1,\"a\":2}", "{\"b\":1,\"a\":2}"] {
            assert!(found.contains(&output.to_owned()), "{found:?}");
            assert!(!text(answer.as_bytes(), Hashed::Input).contains(&output.to_owned()));
        }
        let found = text(b"{\"output\":\"\\u202e\"}", Hashed::Output);
        assert!(found.contains(&"\"\u{202e}\"".to_owned()), "{found:?}");
        // The answer to another call has not this one's output.
        let found = texts(answer.as_bytes(), Hashed::Output, "j");
        assert!(found.iter().all(|text| **text != *b"{\"b\":1,\"a\":2}"));
        assert_eq!(named_call(answer.as_bytes()).as_deref(), Some("i"));
        assert_eq!(named_call(shown.as_bytes()), None);
    }

    #[test]
    fn a_record_is_shown_with_each_request_and_what_became_of_it() {
        let record = json!({
            "kind": "call", "capsule": "a/b", "tool": "t", "outcome": "ok",
            "usage": {"fuel": 1_234_567},
            "egress": [
                {"method": "GET", "origin": "https://a.test", "path": "/x", "status": 200},
                {"method": "PUT", "origin": "https://b.test", "path": "/", "error": "denied\u{1b}"},
                {"method": "GET", "origin": "https://c.test", "path": "/y", "link_seconds": 60},
            ],
        });
        let mut out = Vec::new();
        show_call(&record, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for words in [
            "1_234_567",
            "tokens       0",
            "GET https://a.test/x → 200",
            "PUT https://b.test/ → denied\\u{1b}",
            "https://c.test/y → given away as a link for 60 s",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let refusal = json!({"kind": "refusal", "capsule": "a/b", "outcome": "forbidden"});
        let mut out = Vec::new();
        show_call(&refusal, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("refused: forbidden") && !text.contains("fuel"),
            "{text}"
        );
    }
}
