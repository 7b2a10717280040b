//! Vault, by its documented exchanges: the second version of the KV engine, AppRole, terms of tokens and
//! leases, users of databases, and a Vault that is away or answers badly.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use super::{ask, install, put, set, shown, shows};
use crate::api::tenant;
use crate::harness::{DocumentedVault, ROLE_ID, Setup, TestHost, Upstream, until};

/// The files by which a host logs in.
struct Identity {
    folder: TempDir,
}

impl Identity {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "role-id", ROLE_ID);
        put(folder.path(), "secret-id", "secret-id-of-the-tests\n");
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn by_role(&self) -> Setup {
        Setup::default()
            .flag("--vault-role-id-file", self.file("role-id"))
            .flag("--vault-secret-id-file", self.file("secret-id"))
    }
}

/// Runs a test on a host that knows a Vault, on each database.
fn run(setup: &Setup, test: impl AsyncFn(&TestHost, &DocumentedVault, &Upstream)) {
    let upstream = Upstream::start();
    // Where it listens is known only once it is there, and the host has to know it.
    setup
        .clone()
        .waits()
        .flag("--vault-addr", "http://127.0.0.1:1")
        .run(async move |mut host| {
            let vault = DocumentedVault::start().await;
            host.say_again("--vault-addr", &vault.url).await;
            install(&host, &upstream.origin()).await;
            test(&host, &vault, &upstream).await;
        });
}

const GITHUB: &str = "soma/default/ci/github";

#[test]
fn a_value_in_vault_is_used_as_it_is_there() {
    let identity = Identity::new();
    run(&identity.by_role(), async |host, vault, upstream| {
        vault.keep(GITHUB, "token", "the-first-of-the-tests");
        vault.keep(GITHUB, "number", 5);
        vault.keep("soma/other/ci/github", "token", "of-the-other-tenant");
        let from = ["--from", "vault:ci/github#token"];
        let said = set(host, &from).await.exits(0);
        assert!(
            said.out.contains("from vault:ci/github#token"),
            "{}",
            said.out
        );
        shows(host, upstream, "the-first-of-the-tests").await;
        vault.keep(GITHUB, "token", "the-second-of-the-tests");
        let changed = Instant::now();
        shows(host, upstream, "the-second-of-the-tests").await;
        assert!(changed.elapsed() < Duration::from_secs(7));
        // It is not asked for each call.
        let read = format!("GET /v1/secret/data/{GITHUB}");
        let before = vault.times(&read);
        for _ in 0..10 {
            shown(&host.invoke, upstream).await.unwrap();
        }
        assert!(vault.times(&read) - before < 5);
        assert_eq!(vault.times("POST /v1/auth/approle/login"), 1);

        for (from, words) in [
            (
                "vault:ci/github#missing",
                "no field `missing` at soma/default/ci/github",
            ),
            (
                "vault:ci/gitlab",
                "no field `value` at soma/default/ci/gitlab",
            ),
            ("vault:ci/github#number", "is no text"),
            ("vault:../other/ci/github#token", "is no path in Vault"),
            ("vault:ci/%2e%2e/github", "is no path in Vault"),
            ("vault:", "is no path in Vault"),
            ("vault:ci/github#", "is no field"),
        ] {
            let said = set(host, &["--from", from]).await.exits(2);
            assert!(said.err.contains(words), "{from}: {}", said.err);
        }
        tenant(host, "other").await;
        set(host, &[&from[..], &["--tenant", "other"]].concat())
            .await
            .exits(0);
        shows(host, upstream, "the-second-of-the-tests").await;
        assert!(!host.log().contains("of-the-tests"), "{}", host.log());
    });
}

#[test]
fn the_hosts_token_is_renewed_and_replaced() {
    let identity = Identity::new();
    run(&identity.by_role(), async |host, vault, upstream| {
        vault.keep(GITHUB, "token", "the-first-of-the-tests");
        // Whoever is logged in stays so until the token ends; the one that comes next is short.
        vault.revoke_tokens();
        (vault.state().ttl, vault.state().max_ttl) = (3, 8);
        until(async || {
            let said = set(host, &["--from", "vault:ci/github#token"]).await;
            said.code == 0
        })
        .await;
        shows(host, upstream, "the-first-of-the-tests").await;
        let logins = vault.times("POST /v1/auth/approle/login");
        let renewals = vault.times("POST /v1/auth/token/renew-self");
        for round in 0..12 {
            vault.keep(GITHUB, "token", format!("the-value-{round}-of-the-tests"));
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(
                shown(&host.invoke, upstream).await.is_some(),
                "{}",
                host.log()
            );
        }
        assert!(vault.times("POST /v1/auth/token/renew-self") > renewals + 1);
        assert!(vault.times("POST /v1/auth/approle/login") > logins);
        shows(host, upstream, "the-value-11-of-the-tests").await;

        // The secret id is another one, and the host's token is taken back.
        vault.state().secret_id = "another-secret-id-of-the-tests".to_owned();
        let path = identity.file("secret-id");
        put(
            path.parent().unwrap(),
            "secret-id",
            "another-secret-id-of-the-tests",
        );
        vault.revoke_tokens();
        vault.keep(GITHUB, "token", "the-last-of-the-tests");
        shows(host, upstream, "the-last-of-the-tests").await;
        // Without one that opens anything, requests are denied and the log says why.
        vault.state().secret_id = "unknown-to-the-host".to_owned();
        vault.revoke_tokens();
        until(async || shown(&host.invoke, upstream).await.is_none()).await;
        host.logged("invalid role or secret ID").await;
        put(path.parent().unwrap(), "secret-id", "unknown-to-the-host");
        shows(host, upstream, "the-last-of-the-tests").await;
        put(
            path.parent().unwrap(),
            "secret-id",
            "secret-id-of-the-tests",
        );
        assert!(!host.log().contains("of-the-tests"), "{}", host.log());
    });
}

/// User and password that the upstream is shown.
async fn account(host: &TestHost, upstream: &Upstream) -> Option<(String, String)> {
    let shown = shown(&host.invoke, upstream).await?;
    let pair = BASE64_STANDARD
        .decode(shown.strip_prefix("Basic ").unwrap())
        .unwrap();
    let pair = String::from_utf8(pair).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    Some((user.to_owned(), password.to_owned()))
}

#[test]
fn a_user_of_a_database_lasts_as_long_as_its_lease() {
    let identity = Identity::new();
    run(&identity.by_role(), async |host, vault, upstream| {
        // Only the leases are short.
        host.logged("logged in to Vault").await;
        (vault.state().ttl, vault.state().max_ttl) = (12, 24);
        for (how, words) in [
            (&["--basic", "me"][..], "a user and a password"),
            (&["--header", "x-key"], "a user and a password"),
        ] {
            let how = [&["--from", "vault-database:reader"], how].concat();
            let said = set(host, &how).await.exits(2);
            assert!(said.err.contains(words), "{}", said.err);
        }
        let said = set(host, &["--from", "vault-database:writer"])
            .await
            .exits(2);
        assert!(
            said.err.contains("unknown role: default.writer"),
            "{}",
            said.err
        );
        let said = set(host, &["--from", "vault-database:reader"])
            .await
            .exits(0);
        assert!(
            said.out.contains("basic, from vault-database:reader"),
            "{}",
            said.out
        );

        let mut users = Vec::new();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            let (user, password) = account(host, upstream).await.expect("a user");
            assert!(vault.is_user(&user, &password), "{}", host.log());
            if users.last() != Some(&user) {
                users.push(user);
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(vault.times("PUT /v1/sys/leases/renew") > 0);
        assert!(vault.times("GET /v1/database/creds/default.reader") >= users.len());
        assert!((2..=4).contains(&users.len()), "{users:?}");
        let leaked = ask(&host.invoke, &upstream.url("/leak")).await;
        assert_eq!(leaked["status"], 200, "{leaked}");

        // What was leased with a token goes with it.
        vault.revoke_tokens();
        until(async || {
            let found = account(host, upstream).await;
            found.is_some_and(|(user, password)| vault.is_user(&user, &password))
        })
        .await;
        // A Vault that is away takes nothing back: the lease serves to its end.
        vault.state().sealed = true;
        assert!(account(host, upstream).await.is_some());
        until(async || account(host, upstream).await.is_none()).await;
        host.logged("Vault is sealed, or not ready (503)").await;
        assert!(!host.log().contains("password-of-"), "{}", host.log());
    });
}

#[test]
fn a_vault_that_is_away_keeps_requests_and_not_calls() {
    let identity = Identity::new();
    run(&identity.by_role(), async |host, vault, upstream| {
        vault.keep(GITHUB, "token", "the-first-of-the-tests");
        set(host, &["--from", "vault:ci/github#token"])
            .await
            .exits(0);
        shows(host, upstream, "the-first-of-the-tests").await;
        vault.state().sealed = true;
        until(async || shown(&host.invoke, upstream).await.is_none()).await;
        let line = host.logged("Vault is sealed, or not ready (503)").await;
        assert!(line.contains("vault:ci/github#token"), "{line}");
        vault.state().sealed = false;
        shows(host, upstream, "the-first-of-the-tests").await;

        // Within bounds, and with the token for nobody else.
        let moved = format!("GET /v1/secret/data/{GITHUB}");
        for (path, words) in [
            ("endless", "more than 64 KiB"),
            ("silent", "no answer within 5 s"),
            ("moved", "Vault says no (307)"),
        ] {
            let before = vault.times(&moved);
            let begin = Instant::now();
            let said = set(host, &["--from", &format!("vault:{path}")])
                .await
                .exits(2);
            assert!(said.err.contains(words), "{}", said.err);
            assert!(
                begin.elapsed() < Duration::from_secs(9),
                "{:?}",
                begin.elapsed()
            );
            if path == "moved" {
                assert_eq!(vault.times(&moved), before);
            }
            // One that is away is left alone for a while.
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        shows(host, upstream, "the-first-of-the-tests").await;
    });
}

#[test]
fn a_token_in_a_file_is_what_the_file_has() {
    let identity = Identity::new();
    let token = identity.file("token");
    fs::write(&token, "hvs.no-token-of-the-tests").unwrap();
    let setup = Setup::default()
        .flag("--vault-token-file", &token)
        .flag("--vault-kv", "1")
        .flag("--vault-mount", "kv")
        .flag("--vault-prefix", "teams/soma");
    run(&setup, async |host, vault, upstream| {
        vault.keep("teams/soma/default/ci", "value", "the-first-of-the-tests");
        let write = |text: &str| put(token.parent().unwrap(), "token", text);
        let said = set(host, &["--from", "vault:ci"]).await.exits(2);
        assert!(
            said.err.contains("Vault says no (403): permission denied"),
            "{}",
            said.err
        );
        write(&vault.token());
        set(host, &["--from", "vault:ci"]).await.exits(0);
        shows(host, upstream, "the-first-of-the-tests").await;
        // Short from now on: the next one is kept alive although nobody calls.
        (vault.state().ttl, vault.state().max_ttl) = (15, 3600);
        write(&vault.token());
        until(async || vault.times("POST /v1/auth/token/renew-self") > 2).await;
        shows(host, upstream, "the-first-of-the-tests").await;
        vault.revoke_tokens();
        until(async || shown(&host.invoke, upstream).await.is_none()).await;
        write(&vault.token());
        shows(host, upstream, "the-first-of-the-tests").await;
        fs::remove_file(&token).unwrap();
        until(async || shown(&host.invoke, upstream).await.is_none()).await;
        host.logged("there is no token file for Vault").await;
        write("hvs.no-token-of-the-tests");
        assert!(!host.log().contains("of-the-tests"), "{}", host.log());
    });
}

#[test]
fn half_of_what_vault_takes_is_refused_at_the_start() {
    let refused = |arguments: &[&str], words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let said = serve(folder.path(), arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    };
    let addr = ["--vault-addr", "https://vault.example.com"];
    refused(&addr, "Vault wants to know who asks");
    refused(&["--vault-token-file", "t"], "addr says which Vault it is");
    refused(
        &[&addr[..], &["--vault-role-id-file", "r"]].concat(),
        "and not both",
    );
    let token = ["--vault-token-file", "t"];
    refused(
        &[&["--vault-addr", "http://vault.example.com"], &token[..]].concat(),
        "https only",
    );
    refused(&[&addr[..], &token, &["--vault-kv", "3"]].concat(), "1..=2");
    refused(
        &[&addr[..], &token, &["--vault-prefix", "a/../b"]].concat(),
        "is no path in Vault",
    );
    refused(
        &[&addr[..], &token, &["--vault-ca", "missing.pem"]].concat(),
        "missing.pem",
    );
    refused(&["--secrets-env", "A-B"], "no variable begins with");
    refused(&["--secrets-env", ""], "no variable begins with");
}

/// What a host says that does not start.
fn serve(data: &Path, arguments: &[&str]) -> String {
    let said = crate::harness::command(&data.join("data"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(!said.status.success(), "{said:?}");
    String::from_utf8(said.stderr).unwrap()
}
