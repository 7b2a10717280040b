//! The admin key under a passphrase: who asks for it, and what is left on the disk.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{Said, beside};
use crate::harness::{Setup, TestHost, command, pack_guest, until};

const PASSPHRASE: &str = "correct horse battery";

/// `soma` beside a host, with this passphrase.
async fn with(passphrase: &str, data: &Path, arguments: &[&str]) -> Said {
    let mut command = command(data);
    command.args(arguments).env("SOMA_PASSPHRASE", passphrase);
    command.stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().unwrap())
}

fn key(host: &TestHost) -> String {
    fs::read_to_string(host.data().join("keys/admin.key")).unwrap()
}

#[test]
fn only_what_needs_the_admin_key_asks_for_its_passphrase() {
    Setup::default().run(async |mut host| {
        host.install(&pack_guest("echo")).await;
        let before = key(&host);
        let data = host.data();
        let said = with("short", &data, &["key", "seal"]).await.exits(2);
        assert!(said.err.contains("8 characters"), "{}", said.err);
        assert_eq!(key(&host), before);
        with(PASSPHRASE, &data, &["key", "seal"]).await.exits(0);
        let sealed = key(&host);
        let id = before.split('_').nth(1).unwrap();
        assert!(sealed.starts_with(&format!("soma_{id}_sealed\n-----BEGIN AGE")));
        // What was on the disk opens nothing any more.
        host.admin
            .get("/v1/admin/keys")
            .await
            .problem(401, "unauthorized");

        for everyday in [
            &["call", "tests/echo", "run", "{\"a\": 1}"][..],
            &["list"],
            &["list", "--tools"],
            &["outdated"],
        ] {
            beside(&host, everyday).await.exits(0);
        }
        let said = beside(&host, &["key", "list"]).await.exits(2);
        assert!(said.err.contains("SOMA_PASSPHRASE"), "{}", said.err);
        let said = with("another passphrase", &data, &["key", "list"]).await;
        let said = said.exits(4);
        assert!(said.err.contains("does not fit"), "{}", said.err);
        with(PASSPHRASE, &data, &["key", "list"]).await.exits(0);

        // It stays as it is when the host starts, and under the same passphrase with a new secret.
        host.restart(|_| {}).await;
        assert_eq!(key(&host), sealed);
        let said = with(PASSPHRASE, &data, &["key", "rotate", id]).await;
        let rotated = said.exits(0).out;
        assert!(key(&host).starts_with(&format!("soma_{id}_sealed\n")));
        assert_ne!(key(&host), sealed);
        with(PASSPHRASE, &data, &["key", "list"]).await.exits(0);
        // Nothing gets a new secret that could not be kept.
        let mut command = command(&data);
        command.args(["key", "rotate", id]);
        command.env("SOMA_KEY", rotated.trim());
        let output = command.stdin(std::process::Stdio::null()).output();
        Said::of(output.unwrap()).exits(2);
        with(PASSPHRASE, &data, &["key", "list"]).await.exits(0);

        let said = with("another passphrase", &data, &["key", "unseal"]).await;
        said.exits(4);
        with(PASSPHRASE, &data, &["key", "unseal"]).await.exits(0);
        assert_eq!(key(&host), rotated);
        beside(&host, &["key", "list"]).await.exits(0);
        let again = with(PASSPHRASE, &data, &["key", "unseal"]).await;
        assert!(again.exits(2).err.contains("no passphrase"));
    });
}

#[test]
fn no_open_key_comes_in_the_place_of_a_sealed_one() {
    Setup::default().run(async |mut host| {
        let data = host.data();
        with(PASSPHRASE, &data, &["key", "seal"]).await.exits(0);
        let sealed = key(&host);
        host.signal(Signal::TERM);
        host.ended().await;
        let elsewhere = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}?mode=rwc", elsewhere.path().join("b").display());
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--database", &database];
        let said = Said::of(command(&data).args(arguments).output().unwrap());
        assert!(
            said.code != 0 && said.err.contains("under a passphrase"),
            "{}",
            said.err
        );
        assert_eq!(key(&host), sealed);
        host.start_again(|_| {}).await;
        with(PASSPHRASE, &data, &["key", "list"]).await.exits(0);
        // Where the file holds another key than it says, that is said.
        let id = sealed.split('_').nth(1).unwrap();
        let other = sealed.replacen(id, "0123456789abcdef", 1);
        fs::write(data.join("keys/admin.key"), other).unwrap();
        let said = with(PASSPHRASE, &data, &["key", "list"]).await;
        assert!(said.exits(2).err.contains("another key"));
        fs::write(data.join("keys/admin.key"), sealed).unwrap();
    });
}

/// Whether the process has said what becomes of it at this signal.
fn takes(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (signal.as_raw() - 1)) != 0
}

/// The old secret is gone when the host has made the new one, which only this process has.
#[test]
fn sealing_is_not_ended_half_way() {
    Setup::default().run(async |host| {
        let data = host.data();
        // It answers when it is told to go on.
        host.signal(Signal::STOP);
        let mut seal = command(&data);
        seal.args(["key", "seal"])
            .env("SOMA_PASSPHRASE", PASSPHRASE);
        seal.stdin(Stdio::null());
        let seal = seal.stdout(Stdio::piped()).stderr(Stdio::piped());
        let seal = seal.spawn().unwrap();
        let ends = [Signal::INT, Signal::TERM, Signal::HUP];
        until(async || ends.iter().all(|end| takes(seal.id(), *end))).await;
        for end in ends {
            kill_process(Pid::from_child(&seal), end).unwrap();
        }
        host.signal(Signal::CONT);
        let said = tokio::task::spawn_blocking(move || seal.wait_with_output()).await;
        Said::of(said.unwrap().unwrap()).exits(0);
        assert!(key(&host).contains("_sealed\n"));
        with(PASSPHRASE, &data, &["key", "list"]).await.exits(0);
    });
}
