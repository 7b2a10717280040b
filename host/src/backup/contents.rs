//! What is in an archive, and under which names.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use soma_registry::MARKETPLACES_FILE;

use crate::catalog::hex_of;

/// The form that this program writes and reads.
pub(super) const FORMAT: u32 = 1;
/// The last file of an archive: where it is missing, more is.
pub(super) const CONTENTS: &str = "backup.json";
const TORN: &str = "the backup is torn: `backup.json`, which is its end, is not whole";
/// Bytes that it may have.
const LONGEST: u64 = 64 << 20;

/// `backup.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    pub(super) format: u32,
    /// The version of the program that wrote it.
    pub(super) soma: String,
    /// The newest migration of the database.
    pub(super) schema: i64,
    pub(super) taken_at: Timestamp,
    /// In the order in which they are loaded.
    pub(super) tables: Vec<String>,
    /// By their names.
    pub(super) files: BTreeMap<String, About>,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct About {
    pub(super) bytes: u64,
    /// In hex.
    pub(super) sha256: String,
}

/// What can be read of every form.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

impl Contents {
    pub(super) fn read(file: impl Read) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes).context(TORN)?;
        let form: Form = serde_json::from_slice(&bytes).context(TORN)?;
        ensure!(
            form.format == FORMAT,
            "the backup has the form {}, and this program reads {FORMAT}: restore it with the one \
             that made it",
            form.format
        );
        serde_json::from_slice(&bytes).context(TORN)
    }
}

/// The file of a table's rows: JSON, a line for each.
pub(super) fn of_table(table: &str) -> String {
    format!("database/{table}.jsonl")
}

/// Whether an archive may have a file of this name: what is none of these is nothing of a host's.
pub(super) fn is_known(name: &str) -> bool {
    let is_of = |text: &str, is_fit: fn(&u8) -> bool| {
        !text.is_empty() && text.as_bytes().iter().all(is_fit)
    };
    if let Some(hex) = hex_of(name) {
        return hex.len() == 64 && is_of(hex, u8::is_ascii_hexdigit);
    }
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["database", file] => {
            let table = file.strip_suffix(".jsonl");
            table.is_some_and(|it| is_of(&it.replace('_', "a"), u8::is_ascii_lowercase))
        }
        ["audit", "records", file] => {
            let first = file.strip_suffix(".jsonl");
            first.is_some_and(|it| is_of(it, u8::is_ascii_digit))
        }
        ["audit", "head.json" | "key"] | ["keys", "admin.key" | "invoke.key"] => true,
        [file] => *file == "secrets.key" || *file == MARKETPLACES_FILE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use soma_capability::Digest;

    use super::*;
    use crate::catalog::file_of;

    #[test]
    fn only_what_a_host_has_is_known() {
        let digest: Digest = format!("sha256:{}", "a0".repeat(32)).parse().unwrap();
        for name in [
            &of_table("ledger_entries"),
            &file_of(&digest),
            "audit/records/000000004096.jsonl",
            "audit/head.json",
            "keys/admin.key",
            "secrets.key",
            "marketplaces.toml",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../secrets.key",
            "keys/../../x",
            "keys/other.key",
            "database/.jsonl",
            "database/a b.jsonl",
            "capsules/sha256/a.wasm",
            "code/key",
            "host.id",
            "backup.json/x",
        ] {
            assert!(!is_known(name), "{name}");
        }
    }
}
