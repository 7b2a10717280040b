//! From two authors to a call, through the command line alone.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::json;
use soma_registry::SecretKey;
use soma_registry::log::NoteSecret;

use super::Said;
use crate::harness::{Setup, TestHost, TestMarketplace, TestWitness, command, echo};

/// Runs the command as somebody with this home, whose key is in it.
pub(super) async fn by(home: &Path, arguments: &[&str]) -> Said {
    let mut command = command(home);
    command.args(arguments);
    let key = home.join("test.key");
    if key.exists() {
        command.env("SOMA_KEY_FILE", key);
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().expect("soma"))
}

/// A home with a key file that only its owner can read, and the marketplace pinned.
pub(super) async fn home(market: &TestMarketplace) -> tempfile::TempDir {
    home_with(market, &SecretKey::generate().unwrap()).await
}

/// The same, with this key.
async fn home_with(market: &TestMarketplace, key: &SecretKey) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    write_key(home.path(), key);
    pin(home.path(), market).await;
    home
}

pub(super) fn write_key(home: &Path, key: &SecretKey) {
    use std::io::Write as _;
    let seed: String = key
        .seed()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut options = fs::OpenOptions::new();
    let file = options.create_new(true).write(true).mode(0o600);
    let mut file = file.open(home.join("test.key")).unwrap();
    writeln!(file, "ed25519-secret:{seed}").unwrap();
}

pub(super) async fn pin(home: &Path, market: &TestMarketplace) {
    let key = market.key.to_string();
    let add = ["marketplace", "add", &market.url, "--key", &key];
    by(home, &add).await.exits(0);
}

#[test]
fn nothing_is_sent_to_what_has_another_log_than_the_one_that_is_pinned() {
    TestMarketplace::run(async |market| {
        let home = home(&market).await;
        let home = home.path();
        by(home, &["login", "--account", "ada"]).await.exits(0);
        // At the same address there is another one now, which calls itself the same.
        let other = NoteSecret::new(market.key.origin(), SecretKey::generate().unwrap());
        let list = home.join("marketplaces.toml");
        let text = fs::read_to_string(&list).unwrap();
        let other = other.unwrap().log_key().to_string();
        fs::write(&list, text.replace(&market.key.to_string(), &other)).unwrap();
        let file = home.join("echo.wasm");
        fs::write(&file, echo("ada/echo", "1.0.0").await.bytes()).unwrap();
        let file = file.to_str().unwrap();
        for arguments in [
            &["login", "--account", "ada"][..],
            &["namespace", "create", "ada"],
            &["publish", file, "--yes"],
            &["token", "create", "--name", "ci", "--scope", "yank"],
            &["search", "echo"],
            &["info", "ada/echo"],
            &["verify", "ada/echo"],
        ] {
            let said = by(home, arguments).await.exits(1);
            assert!(
                said.err.contains("pinned key"),
                "{arguments:?}: {}",
                said.err
            );
        }
        assert_eq!(market.client().checkpoint().await.unwrap().size(), 0);
        by(home, &["logout"]).await.exits(0);
    });
}

#[test]
fn two_authors_publish_and_an_operator_searches_installs_and_calls() {
    TestMarketplace::run(async |mut market| {
        for account in ["ada", "bob"] {
            let home = home(&market).await;
            let (home, name) = (home.path(), format!("{account}/echo"));
            by(home, &["login", "--account", account]).await.exits(0);
            let file = home.join("echo.wasm");
            fs::write(&file, echo(&name, "1.0.0").await.bytes()).unwrap();
            let file = file.to_str().unwrap();
            let said = by(home, &["publish", file, "--yes"]).await.exits(0);
            assert!(said.out.contains(&name), "{}", said.out);
            let again = by(home, &["publish", file, "--yes"]).await.exits(1);
            assert!(again.err.contains("published already"), "{}", again.err);
            let theirs = home.join("theirs.wasm");
            if account == "bob" {
                fs::write(&theirs, echo("ada/echo", "2.0.0").await.bytes()).unwrap();
                let said = by(home, &["publish", theirs.to_str().unwrap()]).await;
                assert!(said.exits(4).err.contains("not one of an owner of ada"));
            }
        }
        assert_eq!(market.files(), 2);

        let host = TestHost::start(&Setup::default(), None).await;
        let operator = host.data();
        pin(&operator, &market).await;
        let found = by(&operator, &["search", "echo", "--json"])
            .await
            .exits(0)
            .json();
        assert_eq!(found["hits"].as_array().unwrap().len(), 2, "{found}");
        let lock = operator.join("capsules.lock");
        let lock = lock.to_str().unwrap();
        let install = ["install", "ada/echo@^1", "bob/echo", "--lock", lock];
        by(&operator, &install).await.exits(0);
        let call = ["call", "bob/echo", "run", "{\"a\": 1}", "--json"];
        let call = by(&operator, &call).await.exits(0).json();
        assert_eq!(call["output"]["structured"], json!({"a": 1}));
        let verified = by(&operator, &["verify", "ada/echo@1.0.0"]).await.exits(0);
        assert!(verified.out.contains("inclusion"), "{}", verified.out);
        let kept = operator.join("kept");
        let kept = |name: &str| kept.join(name).to_str().unwrap().to_owned();
        by(&operator, &["verify", "ada/echo", "--save", &kept("")])
            .await
            .exits(0);
        let (bundle, file) = (kept("echo-1.0.0.bundle"), kept("echo-1.0.0.wasm"));
        let offline = [
            "verify",
            "ada/echo@1.0.0",
            "--offline",
            &bundle,
            "--file",
            &file,
        ];
        let said = by(&operator, &offline).await.exits(0);
        assert!(said.out.contains("nobody was asked"), "{}", said.out);
        let info = by(&operator, &["info", "ada/echo"]).await.exits(0);
        assert!(info.out.contains("Asks for") && info.out.contains("keywords   echo"));
        let key = market.key.to_string();
        by(&operator, &["log", "audit", &market.url, "--key", &key])
            .await
            .exits(0);

        by(&operator, &["uninstall", "ada/echo", "--yes"])
            .await
            .exits(0);
        by(&operator, &["install", "--lock", lock]).await.exits(0);
        let list = by(&operator, &["list", "--json"]).await.exits(0).json();
        assert_eq!(list["capsules"].as_array().unwrap().len(), 2, "{list}");
        market.kill();
        let again = by(&operator, &["install", "--lock", lock]).await.exits(0);
        assert_eq!(again.out.matches("was installed already").count(), 2);
    });
}

#[test]
fn an_operator_decides_by_the_command_line() {
    let key = SecretKey::generate().unwrap();
    let public = key.public().to_string();
    TestMarketplace::run_with(&["--operators", &public], async |market| {
        let ada = market.publisher("ada").await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let root = home_with(&market, &key).await;
        let root = root.path();
        by(root, &["marketplace", "reviews"]).await.exits(4);
        by(root, &["login", "--account", "root"]).await.exits(0);
        let said = by(root, &["marketplace", "reviews"]).await.exits(0);
        assert!(said.out.contains("Nothing waits"), "{}", said.out);
        let said = by(root, &["marketplace", "approve", "0198f1"]).await;
        assert!(said.exits(5).err.contains("0198f1"));
        let said = by(root, &["marketplace", "fetch", "0198f1", "held.wasm"]).await;
        assert!(said.exits(5).err.contains("marketplace reviews"));

        let key = SecretKey::generate().unwrap().public().to_string();
        let recover = ["marketplace", "recover", "ada", "ada", "--key", &key];
        let said = by(root, &recover).await.exits(0);
        assert!(said.out.contains("announced: ada in ada"), "{}", said.out);
        let said = by(root, &["marketplace", "recovered", "ada", "ada"]).await;
        assert!(said.exits(1).err.contains("not before"));

        let revoke = ["marketplace", "revoke", "ada/echo@1.0.0", "--reason", "No."];
        let said = by(root, &revoke).await.exits(2);
        assert!(said.err.contains("--yes"), "{}", said.err);
        let said = by(root, &[&revoke[..], &["--yes"]].concat()).await.exits(0);
        assert!(said.out.contains("revoked: ada/echo@1.0.0"), "{}", said.out);
        let said = by(root, &["info", "ada/echo@1.0.0"]).await;
        assert!(said.out.contains("revoked"), "{}{}", said.out, said.err);
    });
}

#[test]
fn a_host_demands_the_witnesses_that_the_marketplace_asks() {
    TestMarketplace::run(async |mut market| {
        let mut witness = TestWitness::start("w.test/1", &market.key).await;
        let ada = market.publisher("ada").await;
        let setup = Setup::default()
            .flag("--trust-witnesses", witness.key.to_string())
            .flag("--trust-witnesses-required", "1");
        market.stop();
        market.add_arguments(&["--witness", &witness.argument()]);
        market.restart().await;
        let ada = market.login("ada", ada.key).await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();

        let host = TestHost::start(&setup, None).await;
        let operator = host.data();
        pin(&operator, &market).await;
        let said = by(&operator, &["install", "ada/echo"]).await.exits(0);
        assert!(said.out.contains("ada/echo"), "{}", said.out);

        // Without the witness the log can grow, and no host that demands it installs from there.
        witness.kill();
        ada.publish(&echo("ada/other", "1.0.0").await)
            .await
            .unwrap();
        let said = by(&operator, &["install", "ada/other"]).await.exits(4);
        assert!(said.err.contains("cosigned by 0"), "{}", said.err);
    });
}

#[tokio::test]
async fn a_folder_that_others_reach_keeps_no_log() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.path().join("something"), "").unwrap();
    let data = folder.path().to_str().unwrap();
    let said = by(folder.path(), &["marketplace", "serve", "--data", data]).await;
    let said = said.exits(1);
    assert!(said.err.contains("run `chmod 700"), "{}", said.err);
    assert!(!folder.path().join("log.key").exists());
}
