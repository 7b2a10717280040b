//! What a host makes of its log when it starts: files that are gone are not passed over, what is no
//! record is not signed, and what was written behind the last signature is counted.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use rustix::process::Signal;
use serde_json::json;

use super::{on_disk, records};
use crate::cli::beside as soma;
use crate::harness::Setup;

#[test]
fn a_host_refuses_a_log_of_which_something_is_missing() {
    Setup::default().run(async |mut host| {
        host.signal(Signal::TERM);
        host.ended().await;
        let data = host.data();
        let far = data.join("audit/records/000000999424.jsonl");
        fs::write(&far, "").unwrap();
        let said = crate::cli::soma(&data, &["serve", "--listen", "127.0.0.1:0"]).exits(1);
        for words in ["there is no file 000000004096.jsonl", "`soma restore`"] {
            assert!(said.err.contains(words), "{}", said.err);
        }
        fs::remove_file(far).unwrap();

        // Nor is anything of what is left taken away.
        let last = data.join("audit/records/000000000000.jsonl");
        let whole = fs::read(&last).unwrap();
        let torn = &whole[..whole.len() - 1];
        fs::write(&last, torn).unwrap();
        let said = crate::cli::soma(&data, &["serve", "--listen", "127.0.0.1:0"]).exits(1);
        assert!(said.err.contains("some are gone"), "{}", said.err);
        assert_eq!(fs::read(&last).unwrap(), torn);
        fs::write(&last, whole).unwrap();
        host.start_again(|_| {}).await;
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}

#[test]
fn what_stands_behind_the_last_signature_is_counted_or_cut_off() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let grant = json!({"time": "2026-01-01T00:00:00Z", "kind": "grant"});
        let foreign = json!({"salt": "", "record": grant});
        host.restart(|data| {
            let file = data.join("audit/records/000000000000.jsonl");
            let mut file = OpenOptions::new().append(true).open(file).unwrap();
            write!(file, "{foreign}\n{foreign}\nno record\n{foreign}\n").unwrap();
        })
        .await;
        host.logged("was cut off the end of the audit log").await;
        let starts = records(&host, "start").await;
        assert_eq!(starts.len(), 2);
        assert_eq!(starts[0]["unsigned"], 2, "{starts:?}");
        assert_eq!(starts[1].get("unsigned"), None, "{starts:?}");
        assert_eq!(records(&host, "grant").await.len(), 2);
        assert!(!on_disk(&host).contains("no record"));
        soma(&host, &["audit", "verify"]).await.exits(0);

        // They are under a signature now, and a clean stop leaves none that is not.
        host.restart(|_| {}).await;
        let starts = records(&host, "start").await;
        assert_eq!(starts[0].get("unsigned"), None, "{starts:?}");
        soma(&host, &["audit", "verify"]).await.exits(0);
    });
}
