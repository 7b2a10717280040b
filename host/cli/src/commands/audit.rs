//! `soma audit`: what happened on a host, and the proof that nothing of it was changed.

mod prove;
mod verify;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use jiff::Timestamp;
use serde_json::{Value, json};
use soma_capability::CapsuleName;
use soma_registry::log::{LogKey, NoteKeyError};

use self::prove::{Head, Named, Walk};
use self::verify::Verify;
use super::budget::shown;
use crate::answer::grouped;
use crate::client::{Client, HostArgs, LocalKey};
use crate::clock::time;
use crate::failure::Failure;
use crate::invocation_id;
use crate::key_id::KeyId;
use crate::screen::{Screen, table, width};

/// Terminals from this width on have room for the invocation, which is last and never broken.
const WIDE: usize = 140;

const HEADINGS: [&str; 8] = [
    "#",
    "time",
    "tenant",
    "by",
    "what",
    "of",
    "outcome",
    "invocation",
];

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    Query(Box<Query>),
    Verify(Verify),
    Export(Export),
}

/// Look up what happened, the newest first
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma audit query
  soma audit query --capsule acme/weather --kind call --outcome tool-denied
  soma audit query --since 2026-11-01T00:00:00Z --json")]
pub(crate) struct Query {
    /// Only of this kind: call, intent, refusal, install, approval, grant, secret … (docs/audit.md)
    #[arg(long)]
    kind: Option<String>,

    /// Only what this tenant did, or what was done to it
    #[arg(long)]
    tenant: Option<String>,

    /// Only of this capsule, as NAMESPACE/NAME
    #[arg(long)]
    capsule: Option<CapsuleName>,

    /// Only of this invocation
    #[arg(long)]
    invocation: Option<String>,

    /// Only by the key of this id
    #[arg(long, value_name = "ID", value_parser = KeyId)]
    by: Option<String>,

    /// Only with this outcome: ok, or a code of docs/problems.md
    #[arg(long)]
    outcome: Option<String>,

    /// Only from this time on, as in 2026-11-01T00:00:00Z (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000), allow_negative_numbers = true)]
    limit: u32,

    #[command(flatten)]
    host: HostArgs,
}

/// Write the whole log into a folder, with what proves it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma audit export exported/")]
pub(crate) struct Export {
    /// The folder, which is made, or is empty
    folder: PathBuf,

    #[command(flatten)]
    host: HostArgs,
}

impl AuditCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Query(query) => query.run(screen).await,
            Self::Verify(verify) => verify.run(screen).await,
            Self::Export(export) => export.run(screen).await,
        }
    }
}

impl Query {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        if let Some(invocation) = &self.invocation {
            invocation_id::check(invocation)?;
        }
        let client = Client::new(self.host.clone(), LocalKey::Admin)?;
        let wanted = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (mut records, mut next) = (Vec::new(), None);
        loop {
            let mut query = self.query();
            query.push(("limit", (wanted - records.len()).to_string()));
            query.extend(next.map(|before: u64| ("before", before.to_string())));
            let answer = client.get(&["admin", "audit"], &query).await?;
            records.extend(answer["records"].as_array().cloned().unwrap_or_default());
            next = answer["next"].as_u64();
            if next.is_none() || records.len() >= wanted {
                break;
            }
        }
        self.tell_unknown(&client, records.is_empty(), screen)
            .await?;
        let mut headings = HEADINGS.to_vec();
        if width(io::stdout()).is_some_and(|width| width < WIDE) {
            headings.pop();
        }
        let cut = |mut row: Vec<String>| {
            row.truncate(headings.len());
            row
        };
        let rows = records.iter().map(row).map(cut).collect();
        screen.show(&json!({"records": records, "next": next}), |out| {
            table(out, &headings, rows, "Nothing of the kind is recorded.")
        })
    }

    /// Says where the host has no such tenant, or no such key: that nothing is found says little
    /// then.
    async fn tell_unknown(
        &self,
        client: &Client,
        nothing_found: bool,
        screen: Screen,
    ) -> Result<(), Failure> {
        if let Some(tenant) = &self.tenant
            && !is_listed(client, "tenants", "name", tenant).await?
        {
            screen.aside(&format!(
                "there is no tenant `{tenant}` now: records of one that was deleted are erased"
            ));
        }
        if nothing_found
            && let Some(key) = &self.by
            && !is_listed(client, "keys", "id", key).await?
        {
            screen.aside(&format!(
                "there is no key `{key}` now: records of a tenant that was deleted are erased, \
                 with its keys"
            ));
        }
        Ok(())
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
        let all = [
            ("kind", self.kind.clone()),
            ("tenant", self.tenant.clone()),
            ("capsule", self.capsule.as_ref().map(ToString::to_string)),
            ("invocation", self.invocation.clone()),
            ("key", self.by.clone()),
            ("outcome", self.outcome.clone()),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// Whether what the host lists for administrators has one of this name, or id.
async fn is_listed(
    client: &Client,
    what: &str,
    member: &str,
    wanted: &str,
) -> Result<bool, Failure> {
    let list = client.get(&["admin", what], &[]).await?;
    let mut listed = list[what].as_array().into_iter().flatten();
    Ok(listed.any(|it| it[member] == wanted))
}

fn row(record: &Value) -> Vec<String> {
    let text = |member: &str| record[member].as_str().unwrap_or_default().to_owned();
    let of = match (text("capsule"), text("tool")) {
        (capsule, tool) if !tool.is_empty() => format!("{capsule} {tool}"),
        (capsule, _) if !capsule.is_empty() => capsule,
        _ => [text("name"), text("id"), text("namespace"), text("of")]
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default(),
    };
    let of = match (text("for_key"), &record["budget"]) {
        (_, budget) if budget.is_object() => format!("{of}, {}", budget_text(budget)),
        (key, _) if key.is_empty() => of,
        (key, _) => format!("{of} of key {key}"),
    };
    let outcome = match text("outcome") {
        outcome if outcome.is_empty() => text("change"),
        outcome => outcome,
    };
    let by = match text("key") {
        // The host itself.
        key if key.is_empty() => "-".to_owned(),
        key => key,
    };
    vec![
        record["index"].to_string(),
        to_the_second(&text("time")),
        text("tenant"),
        by,
        text("kind"),
        of,
        outcome,
        text("invocation"),
    ]
}

/// Which budget of a tenant's a record is of, and what it was set to.
fn budget_text(budget: &Value) -> String {
    let (whose, span) = (shown::whose(budget), &budget["span"]);
    let span = span.as_str().unwrap_or_default();
    // One that is removed has no tokens.
    match budget["tokens"].as_u64() {
        Some(tokens) => {
            let unit = if tokens == 1 { "token" } else { "tokens" };
            let (tokens, bound) = (grouped(tokens), shown::bound(budget));
            format!("{whose}: {tokens} {unit} per {span}, {bound}")
        }
        None => format!("{whose}: per {span}"),
    }
}

/// A time of a record's without what is less than a second.
fn to_the_second(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => time.to_owned(),
    }
}

impl Export {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        check_empty(&self.folder)?;
        let client = Client::new(self.host, LocalKey::Admin)?;
        let mut walk = Walk::new(head(&client).await?, None, None)?;
        let records = self.folder.join("records.jsonl");
        let file = fs::create_dir_all(&self.folder).and_then(|()| fs::File::create(&records));
        let mut file = file.map_err(|e| cannot_write(&records, &e))?;
        fetch(&client, &mut walk, |line| Ok(writeln!(file, "{line}")?)).await?;
        let proven = walk.end()?;
        write(&self.folder.join("checkpoint"), &proven.note)?;
        write(&self.folder.join("key"), &format!("{}\n", proven.key))?;
        let folder = self.folder.display().to_string();
        screen.show(&json!({"folder": folder, "records": proven.size}), |out| {
            writeln!(
                out,
                "exported and proven: {} records to {folder}",
                proven.size
            )
        })
    }
}

/// Nothing that is there is written over, an earlier export neither.
fn check_empty(folder: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|e| cannot_write(folder, &e))?,
    };
    if entries.next().is_none() {
        return Ok(());
    }
    Err(Failure::usage(format_args!(
        "{} is not empty: name a folder that is not there yet",
        folder.display()
    )))
}

/// The key that a host signs its log with, from the command line.
pub(super) fn log_key(text: &str) -> anyhow::Result<LogKey> {
    text.parse::<LogKey>().map_err(|error| match error {
        // Its words are of marketplaces.
        NoteKeyError::Form => anyhow!(
            "a host's key is `soma-host-…+8 hex digits+base64`, in one piece: `soma audit verify` \
             shows it to the host's administrator, after `signed by`"
        ),
        error => error.into(),
    })
}

/// The newest checkpoint, and the key that the host says signed it.
async fn head(client: &Client) -> Result<Head, Failure> {
    let head = client.get(&["admin", "audit", "checkpoint"], &[]).await?;
    let text = |member: &str| {
        let text = head[member].as_str().map(str::to_owned);
        text.ok_or_else(|| Failure::damaged(format_args!("there is no `{member}` in it")))
    };
    Ok(Head {
        note: Named {
            name: "the host's checkpoint".to_owned(),
            it: text("checkpoint")?,
        },
        key: Named {
            name: "the key that the host names".to_owned(),
            it: text("key")?.parse().map_err(Failure::damaged)?,
        },
    })
}

/// Takes every line that a walk needs from a host.
async fn fetch(
    client: &Client,
    walk: &mut Walk,
    mut keep: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    while walk.missing() > 0 {
        let from = ("from", walk.taken().to_string());
        let answer = client.get(&["admin", "audit", "lines"], &[from]).await?;
        let lines = answer["lines"].as_array().cloned().unwrap_or_default();
        if lines.is_empty() {
            break;
        }
        for line in lines.iter().filter_map(Value::as_str) {
            if walk.missing() > 0 {
                walk.take(line.as_bytes())?;
                keep(line)?;
            }
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|e| Failure::unreadable(file, e))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, text).map_err(|e| cannot_write(file, &e))
}

fn cannot_write(file: &Path, error: &io::Error) -> Failure {
    Failure::usage(format_args!("cannot write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_budget_is_shown_with_whose_it_is_and_what_it_became() {
        let of = |record: Value| row(&record)[5].clone();
        let key = json!({
            "level": "key", "key": "k1", "span": "day", "tokens": 12_000, "hard": true,
        });
        let set = json!({"kind": "budget-set", "key": "k0", "of": "acme", "budget": key});
        assert_eq!(row(&set)[3], "k0");
        assert_eq!(of(set), "acme, key k1: 12_000 tokens per day, hard");
        let session = json!({"level": "session", "key": "k1", "session": "s", "span": "lifetime"});
        let removed = json!({"kind": "budget-removed", "of": "acme", "budget": session});
        assert_eq!(of(removed), "acme, session s of key k1: per lifetime");
        let tenant = json!({"level": "tenant", "span": "month", "tokens": 1, "hard": false});
        let set = json!({"kind": "budget-set", "of": "acme", "budget": tenant});
        assert_eq!(of(set), "acme, tenant: 1 token per month, soft");
        let other = json!({"kind": "secret", "name": "github", "for_key": "k1"});
        assert_eq!(row(&other).len(), HEADINGS.len());
        assert_eq!(of(other), "github of key k1");
    }
}
