//! Whoever changes a record, takes one out, or begins the log anew is found out.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::json;

use crate::cli::beside as soma;
use crate::harness::{Setup, TestHost};

fn first_file(folder: &Path) -> PathBuf {
    folder.join("audit/records/000000000000.jsonl")
}

fn rewrite(folder: &Path, change: impl FnOnce(String) -> String) {
    let file = first_file(folder);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, change(text)).unwrap();
}

async fn calls(host: &TestHost, number: usize) {
    for _ in 0..number {
        host.call("echo", &json!({"a": 1})).await.expect(200);
    }
}

#[test]
fn a_changed_record_is_seen() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        calls(&host, 5).await;
        let exported = host.data().join("exported");
        let exported = exported.to_str().unwrap();
        let said = soma(&host, &["audit", "export", exported]).await.exits(0);
        assert!(
            said.out.contains("exported and proven: 9 records"),
            "{}",
            said.out
        );
        let proven = soma(&host, &["audit", "verify", "--json"])
            .await
            .exits(0)
            .json();
        let key = proven["key"].as_str().unwrap();
        soma(&host, &["audit", "verify", "--key", key])
            .await
            .exits(0);
        soma(&host, &["audit", "verify", "--key", "nonsense"])
            .await
            .exits(2);

        // As a file, and on the host itself.
        let records = Path::new(exported).join("records.jsonl");
        let text = fs::read_to_string(&records).unwrap();
        for (changed, words) in [
            (text.replacen("\"ok\"", "\"no\"", 1), "were changed"),
            (
                text.lines()
                    .skip(1)
                    .map(|line| format!("{line}\n"))
                    .collect(),
                "8 are here",
            ),
            (text.clone() + "{}\n", "10 are here"),
            (
                text.lines().rev().map(|line| format!("{line}\n")).collect(),
                "were changed",
            ),
        ] {
            assert_ne!(changed, text);
            fs::write(&records, changed).unwrap();
            let said = soma(&host, &["audit", "verify", exported, "--any-key"])
                .await
                .exits(1);
            assert!(said.err.contains(words), "{}", said.err);
        }
        host.restart(|data| rewrite(data, |text| text.replacen("\"ok\"", "\"no\"", 1)))
            .await;
        let said = soma(&host, &["audit", "verify"]).await.exits(1);
        assert!(said.err.contains("were changed"), "{}", said.err);
    });
}

#[test]
fn whose_key_signed_an_exported_log_is_known_from_elsewhere() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let folder = host.data().join("exported");
        let exported = folder.to_str().unwrap();
        soma(&host, &["audit", "export", exported]).await.exits(0);
        // Nothing is written over.
        let said = soma(&host, &["audit", "export", exported]).await.exits(2);
        assert!(said.err.contains("is not empty"), "{}", said.err);

        let verify = async |more: &[&str]| {
            let arguments = [&["audit", "verify", exported][..], more].concat();
            soma(&host, &arguments).await
        };
        let said = verify(&[]).await.exits(1);
        assert!(said.err.contains("was not checked"), "{}", said.err);
        assert!(said.err.contains("--since"), "{}", said.err);
        let said = verify(&["--any-key"]).await.exits(0);
        assert!(said.out.starts_with("consistent, but"), "{}", said.out);
        let said = verify(&["--any-key", "--json"]).await.exits(0).json();
        assert_eq!(
            (&said["verdict"], &said["pinned"]),
            (&json!("consistent"), &json!(false))
        );
        let key = fs::read_to_string(folder.join("key")).unwrap();
        let kept = host.data().join("kept");
        fs::copy(folder.join("checkpoint"), &kept).unwrap();
        for pinned in [["--key", key.trim()], ["--since", kept.to_str().unwrap()]] {
            let said = verify(&pinned).await.exits(0);
            assert!(said.out.contains("nothing was changed"), "{}", said.out);
            assert!(!said.out.contains("consistent"), "{}", said.out);
            verify(&[&pinned[..], &["--any-key"]].concat())
                .await
                .exits(2);
        }
        soma(&host, &["audit", "verify", "--any-key"])
            .await
            .exits(2);

        let note = fs::read_to_string(&kept).unwrap();
        let size = note.lines().nth(1).unwrap().to_owned();
        let changed = note.replacen(&format!("\n{size}\n"), "\n1\n", 1);
        assert_ne!(changed, note);
        for (name, text, words) in [
            ("checkpoint", changed, "is not signed by the key in"),
            ("key", "nonsense".to_owned(), "is not a host's key"),
        ] {
            fs::write(folder.join(name), text).unwrap();
            let said = verify(&["--any-key"]).await.exits(1);
            assert!(said.err.contains(words), "{}", said.err);
            assert!(said.err.contains(exported), "{}", said.err);
        }
    });
}

#[test]
fn records_that_are_gone_are_missed() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        calls(&host, 5).await;
        let kept = host.data().join("kept");
        let kept = kept.to_str().unwrap().to_owned();
        soma(&host, &["audit", "verify", "--save", &kept])
            .await
            .exits(0);

        // The last of them: the host itself refuses.
        host.signal(Signal::TERM);
        host.ended().await;
        let data = host.data();
        let whole = fs::read_to_string(first_file(&data)).unwrap();
        let without_last = |text: String| {
            let end = text.trim_end().rfind('\n').unwrap();
            text[..=end].to_owned()
        };
        rewrite(&data, without_last);
        let said = crate::cli::soma(&data, &["serve", "--listen", "127.0.0.1:0"]).exits(1);
        assert!(said.err.contains("some are gone"), "{}", said.err);
        // What a power cut left half written is no record.
        fs::write(first_file(&data), whole + "{\"salt\":\"half a li").unwrap();
        host.start_again(|_| {}).await;
        soma(&host, &["audit", "verify", "--since", &kept])
            .await
            .exits(0);

        // All of them, and the log begun anew: whoever has kept a checkpoint sees it.
        host.restart(|data| {
            fs::remove_file(first_file(data)).unwrap();
            fs::remove_file(data.join("audit/head.json")).unwrap();
        })
        .await;
        soma(&host, &["audit", "verify"]).await.exits(0);
        let said = soma(&host, &["audit", "verify", "--since", &kept])
            .await
            .exits(1);
        assert!(said.err.contains("some are gone"), "{}", said.err);
        calls(&host, 20).await;
        let said = soma(&host, &["audit", "verify", "--since", &kept])
            .await
            .exits(1);
        assert!(said.err.contains("were changed"), "{}", said.err);
    });
}
