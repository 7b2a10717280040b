//! `soma audit verify`: that nothing of a log was changed, on a host or as it was exported.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use soma_registry::log::LogKey;

use super::prove::{Head, Named, Proven, Walk};
use super::{fetch, head, log_key, read, write};
use crate::client::{Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::{Screen, visible};

/// Prove that no record was changed, taken out or put in
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma audit verify --save checkpoint
  soma audit verify --since checkpoint --save checkpoint
  soma audit verify exported/ --since checkpoint
  soma audit verify exported/ --key VKEY
  soma audit verify exported/ --any-key

Whoever holds the host's data folder could begin the log anew. A checkpoint that is kept elsewhere,
with --save, and given with --since shows it. Anybody could make a folder and a key for it: the key
must be known from elsewhere, from such a checkpoint or with --key.")]
pub(crate) struct Verify {
    /// A folder that `soma audit export` made, in place of a host
    folder: Option<PathBuf>,

    /// The key that must have signed, as an earlier `verify` showed it
    #[arg(long, value_name = "VKEY", value_parser = log_key)]
    key: Option<LogKey>,

    /// An earlier checkpoint, which this log must continue, signed by the same key
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,

    /// Take whichever key the folder has, and check only that all of it fits together
    #[arg(long, requires = "folder", conflicts_with_all = ["key", "since"])]
    any_key: bool,

    /// Where to keep the newest checkpoint
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,

    #[command(flatten)]
    host: HostArgs,
}

impl Verify {
    pub(super) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let earlier = self.since.as_deref().map(checkpoint).transpose()?;
        let is_pinned = self.key.is_some() || earlier.is_some();
        let walk = match &self.folder {
            Some(folder) => {
                let head = exported(folder)?;
                let mut walk = Walk::new(head, self.key.as_ref(), earlier.as_ref())?;
                let lines = read(&folder.join("records.jsonl"))?;
                for line in lines.lines() {
                    walk.take(line.as_bytes())?;
                }
                walk
            }
            None => {
                let client = Client::new(self.host, LocalKey::Admin)?;
                let head = head(&client).await?;
                let mut walk = Walk::new(head, self.key.as_ref(), earlier.as_ref())?;
                fetch(&client, &mut walk, |_| Ok(())).await?;
                walk
            }
        };
        let proven = walk.end()?;
        if self.folder.is_some() && !is_pinned && !self.any_key {
            return Err(unpinned());
        }
        if let Some(file) = &self.save {
            write(file, &proven.note)?;
        }
        let value = json!({
            "verdict": if self.any_key { "consistent" } else { "verified" },
            "records": proven.size, "erased": proven.erased, "root": proven.root,
            "key": proven.key, "pinned": is_pinned, "continues": proven.continues,
        });
        screen.show(&value, |out| show(&proven, self.any_key, out))
    }
}

fn show(proven: &Proven, any_key: bool, out: &mut dyn Write) -> io::Result<()> {
    if any_key {
        writeln!(
            out,
            "consistent, but whose key it is was not checked: give --key or --since"
        )?;
    }
    writeln!(
        out,
        "{} records, {} of them erased: nothing was changed",
        proven.size, proven.erased
    )?;
    writeln!(out, "  root {}", proven.root)?;
    writeln!(out, "  signed by {}", visible(&proven.key))?;
    match proven.continues {
        Some(size) => writeln!(out, "  continues the checkpoint of {size} records"),
        None => Ok(()),
    }
}

/// What a folder has of its log's end. Anybody can have made it.
fn exported(folder: &Path) -> Result<Head, Failure> {
    let (note, key) = (folder.join("checkpoint"), folder.join("key"));
    let text = read(&key)?;
    let parsed = text.trim().parse::<LogKey>();
    let parsed = parsed.map_err(|_| {
        Failure::failed(format_args!(
            "{} is not a host's key: `soma-host-…+8 hex digits+base64`, as `soma audit export` \
             writes it there",
            key.display()
        ))
    })?;
    Ok(Head {
        note: Named {
            name: note.display().to_string(),
            it: read(&note)?,
        },
        key: Named {
            name: format!("the key in {}", key.display()),
            it: parsed,
        },
    })
}

/// An earlier checkpoint, as `--save` wrote it: that it is one is seen before anything is fetched.
fn checkpoint(file: &Path) -> Result<Named<String>, Failure> {
    let note = read(file)?;
    if note.contains("\n\n— ") {
        return Ok(Named {
            name: file.display().to_string(),
            it: note,
        });
    }
    Err(Failure::usage(format_args!(
        "{} is no checkpoint: `soma audit verify --save` writes one",
        file.display()
    )))
}

fn unpinned() -> Failure {
    let failure = Failure::failed(
        "the folder fits together, but whose key signed it was not checked: anybody could have \
         made both",
    );
    failure.hint(
        "give a checkpoint that was kept elsewhere with --since, or the host's key with --key, \
         which `soma audit verify` shows to its administrator; --any-key checks no more than this",
    )
}
