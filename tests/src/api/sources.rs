//! Credentials that are read where somebody else keeps them, and those of one key's calls.

mod rusty;
mod vault;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::tenant;
use crate::cli::{Said, beside, fed};
use crate::harness::{Client, Oidc, Setup, TestHost, Upstream, command, pack_with, until};

const VALUE: &str = "t0ken-of-the-tests-from-outside";

/// The guest `http`, which asks an upstream with the credential `c`.
async fn install(host: &TestHost, origin: &str) {
    let paths = json!(["/echo", "/leak", "/resource"]);
    let lines = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\"]\n\
         paths = {paths}\ncredential = \"c\"\nwhy = \"A test.\"\n"
    );
    host.install(&pack_with("http", &lines)).await;
    let entry = json!({
        "origin": origin, "methods": ["GET"], "paths": paths, "credential": "c",
    });
    let wanted = json!({"grant": {"http": [entry]}});
    host.grant("tests/http", &wanted).await.expect(200);
}

async fn ask(client: &Client, url: &str) -> Value {
    let input = json!({ "url": url });
    client.call("tests/http", "run", &input).await.structured()
}

/// What the upstream is shown in the calls of this key; none where the request is denied.
async fn shown(client: &Client, upstream: &Upstream) -> Option<String> {
    let answer = ask(client, &upstream.url("/echo")).await;
    if answer["error"] == "denied" {
        assert_eq!(answer["message"], "the credential `c` is not to be had");
        return None;
    }
    assert_eq!(answer["status"], 200, "{answer}");
    Some(upstream.authorization().expect("a credential"))
}

/// Waits until it is shown this, as a bearer's.
async fn shows(host: &TestHost, upstream: &Upstream, value: &str) {
    let bearer = Some(format!("Bearer {value}"));
    until(async || shown(&host.invoke, upstream).await == bearer).await;
}

/// `soma secret set c`, with these arguments besides.
async fn set(host: &TestHost, how: &[&str]) -> Said {
    beside(host, &[&["secret", "set", "c"], how].concat()).await
}

/// The same, of this value.
fn set_value(host: &TestHost, how: &[&str], value: &str) -> Said {
    let mut soma = command(&host.data());
    soma.args(["secret", "set", "c"]).args(how);
    fed(&mut soma, value)
}

async fn listed(host: &TestHost) -> Vec<Value> {
    let list = host.admin.get("/v1/admin/secrets?tenant=default").await;
    let list = list.expect(200);
    list["secrets"].as_array().unwrap().clone()
}

#[test]
fn a_variable_is_its_tenants_alone() {
    let upstream = Upstream::start();
    let setup = Setup::default()
        .flag("--secrets-env", "CRED_")
        .env("CRED_DEFAULT__C", VALUE)
        .env("CRED_DEFAULT__OF_ANOTHER_NAME", "another-of-the-tests")
        .env("CRED_DEFAULT__EMPTY", "")
        .env("CRED_OTHER__C", "of-the-other-tenant");
    setup.run(async |host| {
        install(&host, &upstream.origin()).await;
        let said = set(&host, &["--from", "env"]).await.exits(0);
        assert!(said.out.contains("bearer, from env:c"), "{}", said.out);
        let bearer = format!("Bearer {VALUE}");
        assert_eq!(shown(&host.invoke, &upstream).await, Some(bearer));
        // What comes back of it is masked like any other.
        let leaked = ask(&host.invoke, &upstream.url("/leak")).await;
        assert!(!leaked.to_string().contains(VALUE), "{leaked}");
        let stars = format!("raw={}\n", "*".repeat(VALUE.len()));
        assert!(leaked["body"].as_str().unwrap().starts_with(&stars));
        let said = beside(&host, &["secret", "list"]).await.exits(0);
        assert!(said.out.contains("env:c"), "{}", said.out);

        set(&host, &["--from", "env:of-another-name", "--basic", "me"])
            .await
            .exits(0);
        let basic = shown(&host.invoke, &upstream).await.unwrap();
        assert!(basic.starts_with("Basic "), "{basic}");

        // Nothing else of the environment, and nothing of another tenant's.
        tenant(&host, "other").await;
        tenant(&host, "a--b").await;
        for (how, words) in [
            (
                &["--from", "env:missing"][..],
                "no variable CRED_DEFAULT__MISSING",
            ),
            (&["--from", "env:PATH"], "not a name"),
            (&["--from", "env:../c"], "not a name"),
            (&["--from", "env:other--c"], "not a name"),
            (&["--from", "env:empty"], "the value is empty"),
            (&["--from", "env", "--tenant", "a--b"], "has `--` in it"),
            (&["--from", "file"], "--secrets-files DIR"),
            (&["--from", "vault:a"], "--vault-addr URL"),
            (&["--from", "elsewhere"], "env[:NAME]"),
            (
                &[
                    "--from",
                    "env",
                    "--oauth",
                    "https://a.example/token",
                    "--client-id",
                    "b",
                    "--refresh",
                ],
                "refresh token",
            ),
        ] {
            let said = set(&host, how).await.exits(2);
            assert!(said.err.contains(words), "{how:?}: {}", said.err);
        }
        set(&host, &["--from", "env", "--tenant", "other"])
            .await
            .exits(0);
        let said = beside(&host, &["secret", "rotate", "c"]).await.exits(2);
        assert!(
            said.err.contains("read from env:of-another-name"),
            "{}",
            said.err
        );
        // A value that the host keeps takes its place.
        set_value(&host, &[], "kept-by-the-host").exits(0);
        shows(&host, &upstream, "kept-by-the-host").await;
        let audit = host.admin.get("/v1/admin/audit").await;
        for text in [host.log(), audit.text] {
            assert!(!text.contains(VALUE), "{text}");
        }
    });
}

/// Puts a file in the place of another, as a whole.
fn put(folder: &Path, name: &str, text: &str) {
    let new = folder.join(".new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, folder.join(name)).unwrap();
}

#[test]
fn a_file_that_changes_is_read_again() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("default");
    let setup = Setup::default().flag("--secrets-files", folder.path());
    let before = || {
        if own.exists() {
            fs::remove_dir_all(&own).unwrap();
        }
        fs::create_dir(&own).unwrap();
    };
    setup.run_with(before, async |host| {
        install(&host, &upstream.origin()).await;
        let said = set(&host, &["--from", "file"]).await.exits(2);
        assert!(
            said.err.contains("there is no file default/c"),
            "{}",
            said.err
        );
        put(&own, "c", "the-first-of-the-tests\n");
        set(&host, &["--from", "file"]).await.exits(0);
        shows(&host, &upstream, "the-first-of-the-tests").await;
        put(&own, "c", "the-second-of-the-tests");
        shows(&host, &upstream, "the-second-of-the-tests").await;
        // The mask looks for what is used now.
        let leaked = ask(&host.invoke, &upstream.url("/leak")).await;
        assert!(!leaked.to_string().contains("the-second"), "{leaked}");
        // As orchestrators do it: a link to a folder that is replaced.
        let versions = own.join("..2026");
        fs::create_dir(&versions).unwrap();
        fs::write(versions.join("c"), "the-third-of-the-tests").unwrap();
        symlink(&versions, own.join("..data")).unwrap();
        symlink("..data/c", own.join(".link")).unwrap();
        fs::rename(own.join(".link"), own.join("c")).unwrap();
        shows(&host, &upstream, "the-third-of-the-tests").await;

        // What is no value any more keeps requests, and not calls, and the log says why.
        for (text, words) in [
            (&b"\xff\xfe"[..], "is no text in UTF-8"),
            (&[b'v'; (16 << 10) + 1], "has more than 16 KiB"),
            (b"two\nlines", "no header field can carry"),
        ] {
            fs::write(versions.join("c"), text).unwrap();
            until(async || shown(&host.invoke, &upstream).await.is_none()).await;
            let line = host.logged(words).await;
            assert!(line.contains("file:c"), "{line}");
            fs::write(versions.join("c"), "the-fourth-of-the-tests").unwrap();
            shows(&host, &upstream, "the-fourth-of-the-tests").await;
        }
        fs::remove_file(own.join("c")).unwrap();
        until(async || shown(&host.invoke, &upstream).await.is_none()).await;
        host.logged("there is no file default/c").await;
        fs::create_dir(own.join("c")).unwrap();
        let said = set(&host, &["--from", "file"]).await.exits(2);
        assert!(said.err.contains("cannot be read"), "{}", said.err);
        let all = host.log();
        assert!(!all.contains("of-the-tests"), "{all}");
    });
}

#[test]
fn a_clients_secret_can_come_from_a_file() {
    let Some(oidc) = Oidc::start(3) else { return };
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("default");
    fs::create_dir(&own).unwrap();
    let setup = Setup::default().flag("--secrets-files", folder.path());
    setup.run(async |host| {
        install(&host, &oidc.issuer).await;
        put(&own, "c", "machine-secret-of-the-tests");
        let token_url = format!("{}/token", oidc.issuer);
        let how = [
            "--oauth",
            &token_url,
            "--client-id",
            "machine",
            "--scope",
            "api",
        ];
        set(&host, &[&how[..], &["--from", "file"]].concat())
            .await
            .exits(0);
        let url = format!("{}/resource", oidc.issuer);
        let answer = ask(&host.invoke, &url).await;
        assert_eq!(answer["status"], 200, "{answer}");
        // The token has ended by then, and the secret is another.
        put(&own, "c", "a-wrong-secret-of-the-tests");
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let answer = ask(&host.invoke, &url).await;
        assert_eq!(answer["error"], "denied", "{answer}");
        host.logged("invalid_client").await;
        put(&own, "c", "machine-secret-of-the-tests");
        until(async || ask(&host.invoke, &url).await["status"] == 200).await;
    });
}

/// A new key of the default tenant's: its id, and a client with it.
async fn key(host: &TestHost, tenant: &str) -> (String, Client) {
    let wanted = json!({"tenant": tenant, "scopes": ["invoke"]});
    let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    let client = host.invoke.with_key(made["secret"].as_str().unwrap());
    (made["id"].as_str().unwrap().to_owned(), client)
}

#[test]
fn a_key_can_have_a_value_of_its_own() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        install(&host, &upstream.origin()).await;
        let (ada, of_ada) = key(&host, "default").await;
        let (_, of_bob) = key(&host, "default").await;
        let own = "the-value-of-ada-alone";
        let said = set_value(&host, &["--key", &ada], own).exits(0);
        assert!(
            said.out.contains(&format!("for the key {ada}")),
            "{}",
            said.out
        );
        let bearer = |value: &str| Some(format!("Bearer {value}"));
        assert_eq!(shown(&of_ada, &upstream).await, bearer(own));
        assert_eq!(shown(&of_bob, &upstream).await, None);
        set_value(&host, &[], VALUE).exits(0);
        assert_eq!(shown(&of_bob, &upstream).await, bearer(VALUE));
        assert_eq!(shown(&of_ada, &upstream).await, bearer(own));
        // Each call looks for the value that it shows.
        for (client, value) in [(&of_ada, own), (&of_bob, VALUE)] {
            let leaked = ask(client, &upstream.url("/leak")).await;
            let stars = format!("raw={}\n", "*".repeat(value.len()));
            let body = leaked["body"].as_str().unwrap();
            assert!(body.starts_with(&stars), "{leaked}");
        }
        let said = beside(&host, &["secret", "list"]).await.exits(0);
        assert!(said.out.contains(&ada), "{}", said.out);

        // Shown as the tenant's where nobody says otherwise.
        beside(&host, &["secret", "rm", "c", "--key", &ada])
            .await
            .exits(0);
        beside(&host, &["secret", "rm", "c", "--key", &ada])
            .await
            .exits(5);
        assert_eq!(shown(&of_ada, &upstream).await, bearer(VALUE));
        set_value(&host, &["--basic", "me"], VALUE).exits(0);
        set_value(&host, &["--key", &ada], own).exits(0);
        let rotate = ["secret", "rotate", "c", "--key", &ada];
        fed(command(&host.data()).args(rotate), "another-of-ada").exits(0);
        // Basic of `me:another-of-ada`.
        let basic = Some("Basic bWU6YW5vdGhlci1vZi1hZGE=".to_owned());
        assert_eq!(shown(&of_ada, &upstream).await, basic);

        // No key of anybody else's, and none that opens nothing.
        tenant(&host, "other").await;
        let (stranger, _) = key(&host, "other").await;
        // An empty one, as of a variable that is not set, is not everybody's.
        for (wrong, code) in [
            (stranger.as_str(), 5),
            ("0123456789abcdef", 5),
            ("nobody", 2),
            ("", 2),
        ] {
            let said = set_value(&host, &["--key", wrong], own).exits(code);
            assert!(said.err.contains(wrong), "{}", said.err);
        }
        assert_eq!(listed(&host).await.len(), 2);
        beside(&host, &["key", "revoke", &ada]).await.exits(0);
        let left = listed(&host).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].get("key"), None);
        set_value(&host, &["--key", &ada], own).exits(5);
        assert!(!host.log().contains(own), "{}", host.log());
        let records = host.admin.get("/v1/admin/audit?kind=secret").await;
        assert!(records.text.contains(&ada), "{}", records.text);
    });
}
