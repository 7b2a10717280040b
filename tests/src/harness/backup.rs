//! Backups of hosts, and what is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::host::TestHost;
use crate::cli::{Said, beside};

/// What tells `soma` where a database is that is not in the data folder.
pub(crate) fn database_flag(url: Option<&str>) -> Vec<&str> {
    url.map_or(Vec::new(), |url| vec!["--database", url])
}

/// Has a backup of the host made while it runs.
pub(crate) async fn backed_up(host: &TestHost, file: &Path) -> Said {
    let mut arguments = vec!["backup", "--json", file.to_str().expect("UTF-8")];
    arguments.extend(database_flag(host.database()));
    beside(host, &arguments).await
}

/// The files of a backup by their names.
pub(crate) fn unpacked(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(file).expect("a backup"));
    let entries = archive.entries().expect("a tar file");
    let files = entries.map(|entry| {
        let mut entry = entry.expect("an entry");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("it is whole");
        (name, bytes)
    });
    files.collect()
}

/// The rows of a table.
pub(crate) fn rows(files: &BTreeMap<String, Vec<u8>>, table: &str) -> Vec<Value> {
    let file = &files[&format!("database/{table}.jsonl")];
    let text = std::str::from_utf8(file).expect("UTF-8");
    let rows = text.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().expect("JSON")
}
