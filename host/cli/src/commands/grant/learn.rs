//! `soma grant learn` and `learned`: what a capsule on a host does, and the smallest grant of it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use jiff::SignedDuration;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use soma_capability::Grant;

use super::{Target, lines};
use crate::client::{Body, Client, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, visible};

/// Record what a capsule sends, and is denied, for a while; it allows nothing
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma grant learn acme/weather --for 10m
  soma grant learned acme/weather --out weather.toml
  soma grant learn acme/weather --stop

What is granted holds as ever. Methods, servers and paths are recorded, nothing of queries, fields or
bodies. A credential that is not granted is not learned. It ends by itself; to begin again forgets what
was recorded before.")]
pub(crate) struct Learn {
    #[command(flatten)]
    target: Target,

    /// For how long, as in 90s, 10m or 2h30m; a week (168h) at most
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = length)]
    time: SignedDuration,

    /// End it now
    #[arg(long, conflicts_with = "time")]
    stop: bool,
}

/// Print the smallest grant of what a capsule sent, and was denied, while that was recorded
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma grant learned acme/weather
  soma grant learned acme/weather --out weather.toml
  soma grant set acme/weather --file weather.toml")]
pub(crate) struct Learned {
    #[command(flatten)]
    target: Target,

    /// Write it to this file, which must not be there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

// What is said above requests that are not simply used and granted.
const INSIDE: &str = "Granted now, and denied when it was sent; the host's log says why:";
const MISSING: &str = "Below, and not granted now:";
const UNASKED: &str = "Denied, and not asked for by the manifest, so that no grant allows it:";
const OPEN: &str =
    "Not asked for by the manifest, and sent because the host has it open to every capsule:";
const EVERY: &str =
    "Below for every operation: not all of them could be seen, or named in one entry:";

/// The host's answer, as far as it is printed.
#[derive(Deserialize)]
struct Lesson {
    learning: Option<Learning>,
    requests: Vec<Seen>,
    grant: Grant,
    nameless: Vec<String>,
    credentials_left_out: Vec<String>,
}

#[derive(Deserialize)]
struct Learning {
    began_at: String,
    ends_at: String,
    is_on: bool,
    is_full: bool,
}

#[derive(Deserialize)]
struct Seen {
    method: String,
    origin: String,
    path: String,
    #[serde(default)]
    operations: Vec<String>,
    allowed: bool,
    asked: bool,
    granted: bool,
}

impl Seen {
    fn heading(&self) -> Option<&'static str> {
        match (self.asked, self.granted, self.allowed) {
            (true, true, true) => None,
            (true, true, false) => Some(INSIDE),
            // It would be a wildcard below, and is not: what cannot be named is said by itself.
            (true, false, _) if self.path.contains('*') || self.origin.contains('*') => None,
            (true, false, _) => Some(MISSING),
            (false, _, false) => Some(UNASKED),
            (false, _, true) => Some(OPEN),
        }
    }
}

impl Learn {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.target.host.clone(), LocalKey::Admin)?;
        let capsule = &self.target.capsule;
        if self.stop {
            send(&self.target, &client, Method::DELETE, Body::None).await?;
            return screen.show(&json!({"stopped": capsule}), |out| {
                writeln!(out, "the requests of {capsule} are not recorded any more")
            });
        }
        let seconds = self.time.as_secs();
        let body = Body::Json(json!({ "seconds": seconds }).to_string());
        let value = send(&self.target, &client, Method::PUT, body).await?;
        let end = value["learning"]["ends_at"].as_str().unwrap_or_default();
        screen.show(&value, |out| {
            let end = visible(end);
            writeln!(out, "the requests of {capsule} are recorded until {end}")
        })?;
        screen.aside(&format!(
            "`soma grant learned {capsule}` shows the smallest grant of them"
        ));
        Ok(())
    }
}

impl Learned {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.target.host.clone(), LocalKey::Admin)?;
        let capsule = &self.target.capsule;
        let value = send(&self.target, &client, Method::GET, Body::None).await?;
        let lesson = Lesson::deserialize(&value).map_err(Failure::damaged)?;
        let Some(learning) = &lesson.learning else {
            let words = format_args!("what {capsule} sends was never recorded");
            let hint = format_args!("`soma grant learn {capsule} --for 1h` has it recorded");
            return Err(Failure::usage(words).hint(hint));
        };
        let text = lesson.file(&capsule.to_string(), learning)?;
        if let Some(path) = &self.out {
            let shown = path.display();
            let made = fs::File::create_new(path);
            let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|e| Failure::usage(format_args!("cannot write {shown}: {e}")))?;
            for line in lines(&lesson.grant) {
                screen.step("Learned", &line);
            }
            for name in &lesson.credentials_left_out {
                screen.aside(&without(name));
            }
            screen.aside(&format!(
                "read {shown}, then grant it: `soma grant set {capsule} --file {shown}`"
            ));
            return match screen.json {
                true => screen.show(&value, |_| Ok(())),
                false => Ok(()),
            };
        }
        screen.show(&value, |out| out.write_all(text.as_bytes()))
    }
}

/// What is to be done for a credential that the grant is without.
fn without(name: &str) -> String {
    format!(
        "Credentials are not learned: add `credential = \"{name}\"` to the entries that go with it, or \
         grant them with `--credential {name}`."
    )
}

/// Reads how long it is to take.
fn length(text: &str) -> anyhow::Result<SignedDuration> {
    let length = text.parse::<SignedDuration>();
    let length = length.context("a length of time is written like 90s, 10m or 2h30m")?;
    ensure!(
        length >= SignedDuration::from_secs(1) && length <= SignedDuration::from_hours(7 * 24),
        "it is a second at least and a week (168h) at most"
    );
    Ok(length)
}

async fn send(
    target: &Target,
    client: &Client,
    method: Method,
    body: Body,
) -> Result<Value, Failure> {
    let (namespace, name) = (target.capsule.namespace(), target.capsule.name());
    let path = ["admin", "grants", namespace, name, "learned"];
    client.send_with(method, &path, &target.query(), body).await
}

impl Lesson {
    /// The grant as a file to review: what is not as it should be is said first.
    fn file(&self, capsule: &str, learning: &Learning) -> Result<String, Failure> {
        let Learning {
            began_at, ends_at, ..
        } = learning;
        let mut text = String::new();
        let mut say = |words: &str| {
            // What guests write is a comment's text, and ends no line. Writing to a String cannot
            // fail.
            let _ = writeln!(text, "# {}", visible(words).replace('\n', " "));
        };
        let until = if learning.is_on {
            "so far, of"
        } else {
            "up to"
        };
        say(&format!(
            "What {capsule} sent and was denied from {began_at} {until} {ends_at}."
        ));
        say(
            "Read it before you grant it: it is in place of all that is granted now, but settings.",
        );
        if learning.is_full {
            say("There were more different requests than are kept: some are missing.");
        }
        for heading in [INSIDE, MISSING, UNASKED, OPEN] {
            let of_it = |it: &&Seen| it.heading() == Some(heading);
            let mut requests = self.requests.iter().filter(of_it).peekable();
            if requests.peek().is_some() {
                say(heading);
            }
            for Seen {
                method,
                origin,
                path,
                operations,
                ..
            } in requests
            {
                let between = if operations.is_empty() { "" } else { " " };
                let operations = operations.join(", ");
                say(&format!("  {method} {origin}{path}{between}{operations}"));
            }
        }
        let entries = self.grant.http.iter();
        let mut every = entries.filter(|it| it.hides_operations()).peekable();
        if every.peek().is_some() {
            say(EVERY);
        }
        for entry in every {
            let lines = entry.to_string();
            lines.lines().for_each(|line| say(&format!("  {line}")));
        }
        if !self.nameless.is_empty() {
            say("Asked for, and nothing that one grant can name:");
        }
        for request in &self.nameless {
            say(&format!("  {request}"));
        }
        for name in &self.credentials_left_out {
            say(&without(name));
        }
        if self.grant.is_empty() {
            say("Nothing that could be granted was sent.");
            return Ok(text);
        }
        let grant = toml::to_string(&self.grant).map_err(Failure::failed)?;
        Ok(format!("{text}\n{grant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_to_review_in_which_no_guest_writes_a_line() {
        let seen = |path: &str, allowed, asked, granted| {
            json!({"method": "GET", "origin": "https://a.test", "path": path,
                   "allowed": allowed, "asked": asked, "granted": granted})
        };
        let lesson = json!({
            "learning": {"began_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T01:00:00Z",
                         "is_on": false, "is_full": true},
            "requests": [
                seen("/used", true, true, true),
                seen("/inside", false, true, true),
                seen("/new", false, true, false),
                seen("/never\n[kv]\u{202e}", false, false, false),
                seen("/open", true, false, false),
                {"method": "POST", "origin": "https://a.test", "path": "/api",
                 "operations": ["query a", "mutation b"],
                 "allowed": false, "asked": true, "granted": false},
            ],
            "grant": {"http": [
                {"origin": "https://a.test", "methods": ["GET"],
                 "paths": ["/inside", "/new", "/used"]},
                {"origin": "https://a.test", "methods": ["POST"], "paths": ["/graphql"]},
            ]},
            "nameless": ["get https://a.test/x\n[kv]"],
            "credentials_left_out": ["upstream"],
        });
        let lesson = Lesson::deserialize(&lesson).unwrap();
        let text = lesson
            .file("acme/weather", lesson.learning.as_ref().unwrap())
            .unwrap();
        let read: Grant = toml::from_str(&text).unwrap();
        assert_eq!(read, lesson.grant);
        let expected = "\
# What acme/weather sent and was denied from 2026-01-01T00:00:00Z up to 2026-01-01T01:00:00Z.
# Read it before you grant it: it is in place of all that is granted now, but settings.
# There were more different requests than are kept: some are missing.
# Granted now, and denied when it was sent; the host's log says why:
#   GET https://a.test/inside
# Below, and not granted now:
#   GET https://a.test/new
#   POST https://a.test/api query a, mutation b
# Denied, and not asked for by the manifest, so that no grant allows it:
#   GET https://a.test/never [kv]\\u{202e}
# Not asked for by the manifest, and sent because the host has it open to every capsule:
#   GET https://a.test/open
# Below for every operation: not all of them could be seen, or named in one entry:
#   POST https://a.test/graphql
# Asked for, and nothing that one grant can name:
#   get https://a.test/x [kv]
# Credentials are not learned: add `credential = \"upstream\"` to the entries that go with it, or grant them with `--credential upstream`.

[[http]]
origin = \"https://a.test\"
methods = [\"GET\"]
paths = [\"/inside\", \"/new\", \"/used\"]

[[http]]
origin = \"https://a.test\"
methods = [\"POST\"]
paths = [\"/graphql\"]
";
        assert_eq!(text, expected);
    }
}
