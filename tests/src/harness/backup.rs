//! Backups of hosts, and what is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::Digest as _;
use tar::{Builder, Header};

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

/// The end of a backup, which says what is in it.
pub(crate) fn end(files: &BTreeMap<String, Vec<u8>>) -> Value {
    serde_json::from_slice(&files["backup.json"]).expect("JSON")
}

/// Makes a backup of these files again. What its end says of them is made true; all else is left there.
pub(crate) fn repack(file: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let mut end = end(files);
    let others = files.iter().filter(|(name, _)| *name != "backup.json");
    let about = others.clone().map(|(name, bytes)| {
        let sha256 = hex::encode(sha2::Sha256::digest(bytes));
        (
            name.clone(),
            json!({"bytes": bytes.len(), "sha256": sha256}),
        )
    });
    end["files"] = about.collect();
    let mut builder = Builder::new(File::create(file).expect("a file"));
    let mut append = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        let appended = builder.append_data(&mut header, name, bytes);
        appended.expect("an entry");
    };
    for (name, bytes) in others {
        append(name, bytes);
    }
    append("backup.json", end.to_string().as_bytes());
    builder.finish().expect("a tar file");
}

/// The rows of a table.
pub(crate) fn rows(files: &BTreeMap<String, Vec<u8>>, table: &str) -> Vec<Value> {
    let file = &files[&format!("database/{table}.jsonl")];
    let text = std::str::from_utf8(file).expect("UTF-8");
    let rows = text.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>().expect("JSON")
}
