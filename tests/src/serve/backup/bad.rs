//! What is torn, damaged or made by somebody who means harm is refused, and leaves nothing; and nothing
//! that is there already is written over.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use soma_registry::owner_only;
use tar::{Builder, EntryType, Header};

use super::restore;
use crate::cli::{Said, beside};
use crate::harness::{
    Setup, TestHost, backed_up, command, database_flag, full, repack, soma, unpacked,
};

/// Fails with these words, and leaves no folder.
#[track_caller]
pub(super) fn is_refused(file: &Path, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let said = restore(&data, None, file).exits(1);
    assert!(said.err.contains(words), "{}", said.err);
    assert!(!data.exists(), "{words}");
}

fn header(kind: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_size(bytes);
    header
}

/// An archive of these files, and of what `more` adds.
fn archive(path: &Path, files: &[(String, Vec<u8>)], more: impl FnOnce(&mut Builder<File>)) {
    let mut builder = Builder::new(File::create(path).unwrap());
    more(&mut builder);
    for (name, bytes) in files {
        let mut header = header(EntryType::Regular, bytes.len() as u64);
        builder.append_data(&mut header, name, &**bytes).unwrap();
    }
    builder.finish().unwrap();
}

/// A file under a name that the archive's own library would not write.
fn smuggle(builder: &mut Builder<File>, name: &str, kind: EntryType) {
    let mut header = header(kind, 0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    builder.append(&header, &[] as &[u8]).unwrap();
}

#[test]
fn what_is_torn_or_changed_is_refused() {
    Setup::default().waits().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.install_guests(&["echo"]).await;
        backed_up(&host, &file).await.exits(0);
        let whole = fs::read(&file).unwrap();
        let bad = folder.path().join("bad.tar");
        for bytes in [whole.len() / 3, whole.len() / 2, whole.len() - 3000] {
            fs::write(&bad, &whole[..bytes]).unwrap();
            is_refused(&bad, "torn");
        }
        fs::write(&bad, "no archive at all\n".repeat(100)).unwrap();
        // An empty folder, a volume say, stays and stays empty.
        let volume = tempfile::tempdir().unwrap();
        let said = restore(volume.path(), None, &bad).exits(2);
        assert!(said.err.contains("bad.tar is no backup"), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        fs::write(&bad, "").unwrap();
        restore(volume.path(), None, &bad).exits(2);
        let left: Vec<_> = volume.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");

        // Each file in turn with another byte, and each away.
        let mut files: Vec<(String, Vec<u8>)> = unpacked(&file).into_iter().collect();
        let end = files.iter().position(|(name, _)| name == "backup.json");
        let end = files.remove(end.unwrap());
        let some = if full() { 1 } else { 7 };
        for place in (0..files.len()).step_by(some) {
            let mut changed = files.clone();
            let bytes = &mut changed[place].1;
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                None => bytes.push(b'x'),
            }
            changed.push(end.clone());
            archive(&bad, &changed, |_| {});
            is_refused(&bad, "is damaged");
            let mut fewer = files.clone();
            fewer.remove(place);
            fewer.push(end.clone());
            archive(&bad, &fewer, |_| {});
            is_refused(&bad, "is missing");
        }
        archive(&bad, &files, |_| {});
        is_refused(&bad, "torn");
        files.push(end);
        for (name, kind, words) in [
            (
                "../keys/admin.key",
                EntryType::Regular,
                "nothing that a host",
            ),
            ("/tmp/x", EntryType::Regular, "nothing that a host"),
            ("authorized_keys", EntryType::Regular, "nothing that a host"),
            ("keys/admin.key", EntryType::Symlink, "is no file"),
            ("keys", EntryType::Directory, "is no file"),
            ("keys/admin.key", EntryType::Regular, "is in it twice"),
            ("backup.json", EntryType::Regular, "torn"),
            (
                "keys/\n\u{1b}[2J\u{202e}x",
                EntryType::Regular,
                "`keys/\\n\\u{1b}[2J\\u{202e}x` is nothing that a host",
            ),
            ("a\nb", EntryType::Symlink, "`a\\nb` is no file"),
            (
                "database/more.jsonl",
                EntryType::Regular,
                "was not backed up",
            ),
        ] {
            archive(&bad, &files, |builder| smuggle(builder, name, kind));
            is_refused(&bad, words);
        }
        let zeros = vec![0; 20 << 10];
        for more in [&b"x"[..], &whole, &[&zeros[..], b"x"].concat()] {
            fs::write(&bad, [&whole[..], more].concat()).unwrap();
            is_refused(&bad, "after the archive's end");
        }
        // As it was, it is taken, and as tapes have it.
        archive(&bad, &files, |_| {});
        restore(&folder.path().join("data"), None, &bad).exits(0);
        fs::write(&bad, [&whole[..], &zeros].concat()).unwrap();
        restore(&folder.path().join("padded"), None, &bad).exits(0);
    });
}

#[test]
fn what_agrees_with_its_end_and_with_nothing_else_is_refused() {
    Setup::default().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.install_guests(&["echo"]).await;
        backed_up(&host, &file).await.exits(0);
        let files = unpacked(&file);
        let records = "audit/records/000000000000.jsonl";
        let text = String::from_utf8(files[records].clone()).unwrap();
        let changed = text.replacen("\"install\"", "\"nothing\"", 1);
        assert_ne!(changed, text);
        let more = format!("{text}not a record\n");
        let capsule = files.keys().find(|name| name.starts_with("capsules/"));
        for (name, bytes, words) in [
            (records, Some(changed.into_bytes()), "audit log"),
            (records, Some(more.into_bytes()), "none that a host writes"),
            (capsule.unwrap(), None, "rows name"),
            ("secrets.key", Some(b"zz".to_vec()), "secrets.key"),
            ("database/pins.jsonl", None, "tables"),
        ] {
            forge(&file, files.clone(), name, bytes);
            is_refused(&file, words);
        }
    });
}

/// An archive in which a file has other bytes, or is not there, and whose end says the same.
fn forge(path: &Path, mut files: BTreeMap<String, Vec<u8>>, name: &str, bytes: Option<Vec<u8>>) {
    match bytes {
        Some(bytes) => files.insert(name.to_owned(), bytes),
        None => files.remove(name),
    };
    repack(path, &files);
}

#[test]
fn a_log_that_is_not_what_was_signed_is_refused_before_it_is_restored() {
    Setup::default().run(async |mut host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        host.restart(|data| {
            let records = data.join("audit/records/000000000000.jsonl");
            let text = fs::read_to_string(&records).unwrap();
            // The salt of the first line.
            let changed = text.replacen("{\"salt\":\"", "{\"salt\":\"a", 1);
            fs::write(&records, changed).unwrap();
        })
        .await;
        let said = backed_up(&host, &file).await.exits(1);
        let words =
            "could not be restored, for the audit log: its records are not those that were signed";
        assert!(said.err.contains(words), "{}", said.err);
        assert!(!file.exists());
    });
}

#[test]
fn a_backup_that_nobody_read_to_its_end_was_not_taken() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let mut taking = Command::new(soma())
            .arg("backup")
            .args(database_flag(host.database()))
            .args(["-", "--data"])
            .arg(host.data())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(taking.stdout.take());
        let taken = taking.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&taken.stderr);
        assert_eq!(taken.status.code(), Some(1), "{said}");
        assert!(said.contains("not written to its end"), "{said}");
    });
}

#[test]
fn another_key_for_credentials_is_refused() {
    Setup::default().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let keys = ["own", "other"].map(|name| folder.path().join(name));
        let own = fs::read_to_string(host.data().join("secrets.key")).unwrap();
        owner_only::create(&keys[0], &own).unwrap();
        owner_only::create(&keys[1], &format!("{}\n", "5a".repeat(32))).unwrap();
        let restore_with = |data: &str, file: &Path, key: &Path| {
            let key = ["--secrets-key", key.to_str().unwrap()];
            let restore = ["restore", file.to_str().unwrap()];
            crate::cli::soma(&folder.path().join(data), &[restore, key].concat())
        };
        // Where nothing is sealed, any key will do.
        let empty = folder.path().join("empty.tar");
        backed_up(&host, &empty).await.exits(0);
        restore_with("of-empty", &empty, &keys[1]).exits(0);

        let secret = "/v1/admin/secrets/upstream?tenant=default";
        let value = json!({"value": "t0ken"});
        host.admin.put(secret, &value).await.expect(200);
        let file = folder.path().join("b.tar");
        backed_up(&host, &file).await.exits(0);
        let said = restore_with("of-other", &file, &keys[1]).exits(1);
        assert!(said.err.contains("sealed with another key"), "{}", said.err);
        assert!(!folder.path().join("of-other").exists());
        restore_with("of-own", &file, &keys[0]).exits(0);
    });
}

#[test]
fn only_what_matters_for_a_backup_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["backup", "restore"] {
        let help = crate::cli::soma(folder.path(), &[command, "--help"]).exits(0);
        for flag in ["--config", "--data", "--database", "--secrets-key"] {
            assert!(help.out.contains(flag), "{flag}: {}", help.out);
        }
        for flag in ["--listen", "--maximum-limits", "--trust-", "--vault"] {
            assert!(!help.out.contains(flag), "{flag}: {}", help.out);
        }
    }
    // A configuration is taken as it is, whatever else it has.
    let file = folder.path().join("soma.toml");
    fs::write(&file, "listen = \"0.0.0.0:443\"\nconcurrent-calls = 5\n").unwrap();
    let backup = ["backup", "--config", file.to_str().unwrap(), "x.tar"];
    let said = crate::cli::soma(&folder.path().join("none"), &backup).exits(1);
    assert!(said.err.contains("no host has run"), "{}", said.err);
}

#[test]
fn nothing_is_written_over() {
    Setup::default().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        backed_up(&host, &file).await.exits(0);
        let again = backed_up(&host, &file).await.exits(2);
        assert!(again.err.contains("is there already"), "{}", again.err);
        let listed: Vec<_> = folder.path().read_dir().unwrap().collect();
        assert_eq!(listed.len(), 1, "{listed:?}");

        // Neither the data of a host, nor a folder of something else, nor a database in use.
        is_left_alone(&host, &file).await;
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(data.join("thesis.txt"), "x").unwrap();
        let said = restore(&data, None, &file).exits(1);
        assert!(said.err.contains("`thesis.txt`"), "{}", said.err);
        assert!(said.err.contains("empty or missing"), "{}", said.err);
        assert_eq!(data.read_dir().unwrap().count(), 1);
        if let Some(url) = host.database() {
            let data = folder.path().join("other");
            let said = restore(&data, Some(url), &file).exits(1);
            assert!(said.err.contains("rows already"), "{}", said.err);
            assert!(!data.exists());
        }
        host.admin.get("/v1/admin/keys").await.expect(200);

        // Where no file can be made, it is said where and what to do.
        let nowhere = folder.path().join("nowhere");
        let said = backed_up(&host, &nowhere.join("b.tar")).await.exits(2);
        let words = format!("there is no folder {}", nowhere.display());
        assert!(said.err.contains(&words), "{}", said.err);
        let mut taking = command(&host.data());
        taking
            .args(["backup", "-"])
            .args(database_flag(host.database()))
            .env("TMPDIR", &nowhere);
        let said = Said::of(taking.output().unwrap()).exits(1);
        let words = format!("no file can be made in {},", nowhere.display());
        assert!(said.err.contains(&words), "{}", said.err);
        assert!(!said.err.contains("nowhere/"), "{}", said.err);

        // Where no host has run there is nothing to back up, and nothing is made.
        let none = folder.path().join("none");
        let said = crate::cli::soma(&none, &["backup", "x.tar"]).exits(1);
        assert!(said.err.contains("no host has run"), "{}", said.err);
        assert!(!none.exists());
    });
}

async fn is_left_alone(host: &TestHost, file: &Path) {
    let mut arguments = vec!["restore", file.to_str().unwrap()];
    arguments.extend(database_flag(host.database()));
    let said = beside(host, &arguments).await.exits(1);
    assert!(said.err.contains("a host is running on"), "{}", said.err);
    assert!(!said.err.contains("host.url"), "{}", said.err);
    host.admin.get("/v1/admin/keys").await.expect(200);
}
