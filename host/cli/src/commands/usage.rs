//! `soma usage`: what calls took, summed up.

use std::io::{self, Write};

use anyhow::Context as _;
use jiff::civil::Date;
use serde_json::Value;

use crate::answer::grouped;
use crate::client::{Client, HostArgs, LocalKey, of_tenant};
use crate::failure::Failure;
use crate::screen::{Screen, table, visible};

/// Show what calls took: of the key, or with --tenant of all the keys of a tenant
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma usage
  soma usage --from 2026-11-01 --to 2026-11-30 --by day,capsule
  soma usage --tenant acme --by key --csv > november.csv")]
pub(crate) struct Usage {
    /// The first day, as in 2026-11-01, in UTC [default: the first of the last day's month]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Date>,

    /// The last day [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Date>,

    /// What has a line each, with commas between
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["capsule", "tool"])]
    by: Vec<By>,

    /// The calls of all the keys of this tenant, which takes an admin key
    #[arg(long)]
    tenant: Option<String>,

    /// Comma-separated values (RFC 4180), with every column
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    host: HostArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Day,
    Capsule,
    Tool,
    Key,
}

/// What is summed up, by its name in JSON and in tables.
const SUMS: [(&str, &str); 7] = [
    ("calls", "calls"),
    ("failed", "failed"),
    ("tokens", "tokens"),
    ("fuel", "fuel"),
    ("time_ms", "ms"),
    ("sent_bytes", "bytes sent"),
    ("received_bytes", "bytes received"),
];

/// Lines differ where these do.
const UNDER: [&str; 2] = ["prices", "engine"];

impl Usage {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        if self.csv && screen.json {
            return Err(Failure::usage("--csv or --json, not both"));
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(Failure::usage(format_args!(
                "{from}, the first day, is after {to}, the last"
            )));
        }
        let mut by = self.by.iter().enumerate();
        if let Some((_, twice)) = by.find(|(i, by)| self.by[..*i].contains(by)) {
            let name = twice.name();
            return Err(Failure::usage(format_args!(
                "--by: `{name}` is there twice"
            )));
        }
        let local = match &self.tenant {
            Some(_) => LocalKey::Admin,
            None => LocalKey::Invoke,
        };
        let client = Client::new(self.host.clone(), local)?;
        let usage = client.get(&["usage"], &self.query()).await?;
        let lines = usage["usage"].as_array().map(Vec::as_slice);
        let lines = lines.unwrap_or_default();
        let by: Vec<&str> = self.by.iter().copied().map(By::name).collect();
        screen.show(&usage, |out| {
            if self.csv {
                write_csv(&by, lines, out)
            } else {
                show(&by, lines, out)
            }
        })
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let by: Vec<&str> = self.by.iter().copied().map(By::name).collect();
        let mut query = of_tenant(self.tenant.as_deref());
        query.extend(self.from.map(|from| ("from", from.to_string())));
        query.extend(self.to.map(|to| ("to", to.to_string())));
        query.push(("by", by.join(",")));
        query
    }
}

impl By {
    /// Of the member, too.
    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Capsule => "capsule",
            Self::Tool => "tool",
            Self::Key => "key",
        }
    }
}

fn day(text: &str) -> anyhow::Result<Date> {
    text.parse().context("a day is written like 2026-11-01")
}

fn show(by: &[&str], lines: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let is_alike = |line: &Value| UNDER.iter().all(|name| line[*name] == lines[0][*name]);
    let under: &[&str] = if lines.iter().all(is_alike) {
        &[]
    } else {
        &UNDER
    };
    let row = |line: &Value| -> Vec<String> {
        let words = by.iter().chain(under).map(|name| text(line, name));
        let sums = SUMS.iter().map(|(name, _)| grouped(number(line, name)));
        words.chain(sums).collect()
    };
    let mut rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    if lines.len() > 1 {
        let mut total = vec![String::new(); by.len() + under.len()];
        total[0] = "total".to_owned();
        total.extend(SUMS.iter().map(|(name, _)| {
            let numbers = lines.iter().map(|line| number(line, name));
            grouped(numbers.fold(0, u64::saturating_add))
        }));
        rows.push(total);
    }
    let sums = SUMS.iter().map(|(_, heading)| *heading);
    let headings: Vec<&str> = by.iter().chain(under).copied().chain(sums).collect();
    table(out, &headings, rows, "No call was made in that time.")
}

fn write_csv(by: &[&str], lines: &[Value], out: &mut dyn Write) -> io::Result<()> {
    let sums = SUMS.iter().map(|(name, _)| *name);
    let names: Vec<&str> = by.iter().copied().chain(sums).chain(UNDER).collect();
    write!(out, "{}\r\n", names.join(","))?;
    for line in lines {
        let fields = names.iter().map(|name| match &line[*name] {
            Value::Number(number) => number.to_string(),
            _ => quoted(&text(line, name)),
        });
        let fields: Vec<String> = fields.collect();
        write!(out, "{}\r\n", fields.join(","))?;
    }
    Ok(())
}

/// A field as RFC 4180 has it, in quotes where it needs them.
fn quoted(field: &str) -> String {
    let field = visible(field);
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

fn text(of: &Value, member: &str) -> String {
    of[member].as_str().unwrap_or_default().to_owned()
}

fn number(of: &Value, member: &str) -> u64 {
    of[member].as_u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(capsule: &str, calls: u64, engine: &str) -> Value {
        json!({
            "capsule": capsule, "calls": calls, "failed": 0, "tokens": 1000 * calls, "fuel": 1, "time_ms": 2,
            "sent_bytes": 3, "received_bytes": 4, "prices": "0123456789ab", "engine": engine,
        })
    }

    fn table_of(lines: &[Value]) -> String {
        let mut out = Vec::new();
        show(&["capsule"], lines, &mut out).unwrap();
        anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
    }

    #[test]
    fn a_table_ends_with_its_sums() {
        let alike = [line("a/b", 1, "wasmtime 1"), line("a/c", 2, "wasmtime 1")];
        let text = table_of(&alike);
        let words = |text: &str, line: usize| -> Vec<String> {
            let line = text.lines().nth(line).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(
            words(&text, 3),
            ["total", "3", "0", "3_000", "2", "4", "6", "8"]
        );
        assert!(!text.contains("ENGINE"), "{text}");
        let text = table_of(&[line("a/b", 1, "wasmtime 1"), line("a/b", 1, "wasmtime 2")]);
        assert!(
            text.contains("ENGINE") && text.contains("wasmtime 2"),
            "{text}"
        );
        assert_eq!(table_of(&alike[..1]).lines().count(), 2);
        assert_eq!(table_of(&[]), "No call was made in that time.\n");
    }

    #[test]
    fn comma_separated_values_are_quoted_where_they_must_be() {
        let mut out = Vec::new();
        write_csv(&["capsule"], &[line("a/b", 1, "x, \"y\"")], &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "capsule,calls,failed,tokens,fuel,time_ms,sent_bytes,received_bytes,prices,engine\r\n\
             a/b,1,0,1000,1,2,3,4,0123456789ab,\"x, \"\"y\"\"\"\r\n"
        );
    }
}
