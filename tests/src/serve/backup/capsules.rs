//! Capsules that go while a backup is taken: it is begun anew, and given up where it never ends.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::task::JoinHandle;

use super::restore;
use crate::harness::{Setup, TestHost, backed_up, pack_guest};

const GIVEN_UP: &str =
    "capsules were uninstalled each of 3 times that the backup was begun: try it again";

#[test]
fn without_the_file_of_a_capsule_there_is_no_backup() {
    Setup::default().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.tar");
        let echo = pack_guest("echo");
        host.install(&echo).await;
        let name = format!("capsules/sha256/{}.wasm", echo.digest().hex());
        let (capsule, away) = (host.data().join(name), host.data().join("away"));
        fs::rename(&capsule, &away).unwrap();
        let said = backed_up(&host, &file).await.exits(1);
        assert!(said.err.contains(GIVEN_UP), "{}", said.err);
        let left: Vec<_> = folder.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        fs::rename(&away, &capsule).unwrap();
        backed_up(&host, &file).await.exits(0);
    });
}

/// Has a capsule come and go until it is told to stop.
fn come_and_go(host: &TestHost, is_over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (admin, is_over) = (host.admin.clone(), is_over.clone());
    tokio::spawn(async move {
        let echo = pack_guest("echo");
        while !is_over.load(SeqCst) {
            admin.install(echo.bytes()).await.expect(201);
            admin.delete("/v1/capsules/tests/echo").await.expect(204);
        }
    })
}

#[test]
fn capsules_come_and_go_during_backups() {
    Setup::default().waits().run(async |host| {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, round: u32| folder.path().join(format!("{name}-{round}"));
        host.install_guests(&["compute"]).await;
        let is_over = Arc::default();
        let coming = come_and_go(&host, &is_over);
        // Each is whole or is not there, and of many some are whole.
        let mut whole = Vec::new();
        for round in 0..20 {
            if round >= 3 && !whole.is_empty() {
                break;
            }
            let said = backed_up(&host, &path("backup", round)).await;
            if said.code == 0 {
                whole.push(round);
                continue;
            }
            let said = said.exits(1);
            assert!(said.err.contains(GIVEN_UP), "{}", said.err);
        }
        is_over.store(true, SeqCst);
        coming.await.unwrap();
        let left = folder.path().read_dir().unwrap().count();
        assert_eq!(left, whole.len());
        let last = *whole.last().unwrap();
        restore(&path("data", last), None, &path("backup", last)).exits(0);
    });
}
