//! A Vault that somebody else wrote: RustyVault, for what it has of Vault. `./dev vault` runs this.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{install, put, set, shown, shows};
use crate::harness::{Setup, Upstream, target, until};

/// A running server, unsealed, which ends with this value.
struct RustyVault {
    process: Child,
    folder: TempDir,
    url: String,
    key: String,
    token: String,
}

impl RustyVault {
    async fn start() -> Self {
        // It is asked before any client of the harness is made.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let config = folder.path().join("config.hcl");
        let text = format!(
            "storage \"file\" {{\n  path = \"{0}/data\"\n}}\n\
             listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = \"true\"\n}}\n\
             work_dir = \"{0}\"\napi_addr = \"http://{address}\"\nlog_level = \"error\"\n\
             pid_file = \"{0}/pid\"\n",
            folder.path().display()
        );
        fs::write(&config, text).unwrap();
        let program = target().join("tools/bin/rvault");
        let process = Command::new(&program)
            .arg("server")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: `./dev vault`", program.display()));
        let mut vault = Self {
            process,
            folder,
            url: format!("http://{address}"),
            key: String::new(),
            token: String::new(),
        };
        let init = format!("{}/v1/sys/init", vault.url);
        until(async || reqwest::get(&init).await.is_ok()).await;
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let (_, made) = vault.ask(Method::PUT, "sys/init", &shares).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (vault.key, vault.token) = (text(&made["keys"][0]), text(&made["root_token"]));
        vault.unseal().await;
        vault
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let asked = reqwest::Client::new()
            .request(method, format!("{}/v1/{path}", self.url))
            .header("x-vault-token", &self.token)
            .json(body);
        let answer = asked.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    async fn unseal(&self) {
        let key = json!({"key": self.key});
        let (status, said) = self.ask(Method::PUT, "sys/unseal", &key).await;
        assert_eq!((status, &said["sealed"]), (StatusCode::OK, &json!(false)));
    }

    async fn keep(&self, path: &str, fields: &Value) {
        let path = format!("secret/{path}");
        let (status, said) = self.ask(Method::POST, &path, fields).await;
        assert!(status.is_success(), "{status} {said}");
    }
}

impl Drop for RustyVault {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "takes a RustyVault: `./dev vault` installs it, which takes a quarter of an hour"]
fn rusty_vault_gives_values_to_whoever_has_a_token() {
    let upstream = Upstream::start();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let vault = runtime.block_on(RustyVault::start());
    let token = vault.folder.path().join("token");
    let write = |text: &str| put(vault.folder.path(), "token", text);
    write(&vault.token);
    let setup = Setup::default()
        .flag("--vault-addr", &vault.url)
        .flag("--vault-token-file", &token)
        .flag("--vault-kv", "1");
    setup.run_with(
        || write(&vault.token),
        async |host| {
            vault
                .keep(
                    "soma/default/ci/github",
                    &json!({"token": "the-first-of-the-tests"}),
                )
                .await;
            vault
                .keep("soma/other/ci", &json!({"value": "of-the-other-tenant"}))
                .await;
            install(&host, &upstream.origin()).await;
            set(&host, &["--from", "vault:ci/github#token"])
                .await
                .exits(0);
            shows(&host, &upstream, "the-first-of-the-tests").await;
            // Rotation.
            vault
                .keep(
                    "soma/default/ci/github",
                    &json!({"token": "the-second-of-the-tests"}),
                )
                .await;
            shows(&host, &upstream, "the-second-of-the-tests").await;
            // Refusals: what is not there, and a token that opens nothing.
            for (from, words) in [
                (
                    "vault:ci",
                    "there is no field `value` at soma/default/ci in Vault",
                ),
                ("vault:ci/github#other", "there is no field `other`"),
            ] {
                let said = set(&host, &["--from", from]).await.exits(2);
                assert!(said.err.contains(words), "{}", said.err);
            }
            write("no-token-of-the-tests");
            until(async || shown(&host.invoke, &upstream).await.is_none()).await;
            host.logged("Vault says no (403)").await;
            write(&vault.token);
            shows(&host, &upstream, "the-second-of-the-tests").await;
            // Sealing.
            let (status, _) = vault.ask(Method::PUT, "sys/seal", &json!({})).await;
            assert!(status.is_success(), "{status}");
            until(async || shown(&host.invoke, &upstream).await.is_none()).await;
            host.logged("Vault is sealed, or not ready (503)").await;
            vault.unseal().await;
            shows(&host, &upstream, "the-second-of-the-tests").await;
            let log = host.log();
            assert!(
                !log.contains("of-the-tests") && !log.contains(&vault.token),
                "{log}"
            );
        },
    );
}
