//! Signing keys, by the command line.

use std::path::Path;

use soma_registry::{Change, OwnerKey, SecretKey};

use super::Said;
use super::market::pin;
use crate::harness::{TestMarketplace, command, echo, owner};

const PASSPHRASE: &str = "correct horse";

/// Runs the command as somebody with this home, whose keys are under a passphrase.
async fn by(home: &Path, arguments: &[&str]) -> Said {
    let mut command = command(home);
    command.args(arguments).env("SOMA_PASSPHRASE", PASSPHRASE);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().expect("soma"))
}

/// The keys that there are, each by its name.
async fn keys(home: &Path) -> Vec<(String, String)> {
    let list = by(home, &["keys", "list", "--json"]).await.exits(0).json();
    let keys = list["keys"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    keys.map(|key| (text(&key["name"]), text(&key["public"])))
        .collect()
}

async fn secret(home: &Path, name: &str) -> SecretKey {
    let said = by(home, &["keys", "export", name, "--secret", "--yes"]).await;
    let said = said.exits(0);
    let digits = said.out.trim().strip_prefix("ed25519-secret:").unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    SecretKey::from_seed(&std::array::from_fn(byte))
}

#[test]
fn a_key_is_replaced_wherever_it_is_known() {
    TestMarketplace::run(async |mut market| {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        by(home, &["keys", "new"]).await.exits(0);
        pin(home, &market).await;
        by(home, &["login", "--account", "ada"]).await.exits(0);
        for namespace in ["ada", "other"] {
            by(home, &["namespace", "create", namespace]).await.exits(0);
        }
        let old = keys(home).await;

        // Where a marketplace does not answer, it is not known where the key is: nothing changes.
        market.stop();
        let said = by(home, &["keys", "rotate"]).await.exits(3);
        assert!(said.err.contains("nothing was changed"), "{}", said.err);
        assert_eq!(keys(home).await, old);
        market.restart().await;
        by(home, &["marketplace", "remove", "http://127.0.0.1:9"])
            .await
            .exits(2);
        let listed = by(home, &["marketplace", "list", "--json"])
            .await
            .exits(0)
            .json();
        let url = listed["marketplaces"][0]["url"].as_str().unwrap();
        by(home, &["marketplace", "remove", url]).await.exits(0);
        pin(home, &market).await;

        // As far as a rotation came that was interrupted: one of two namespaces has the new key.
        let said = by(home, &["keys", "new", "default.next"]).await.exits(2);
        assert!(said.err.contains("being rotated in"), "{}", said.err);
        by(home, &["keys", "new", "half"]).await.exits(0);
        for kind in ["pub", "key"] {
            let keys = home.join(".config/soma/keys");
            let next = keys.join(format!("default.next.{kind}"));
            std::fs::rename(keys.join(format!("half.{kind}")), next).unwrap();
        }
        let (one, next) = (
            secret(home, "default").await,
            secret(home, "default.next").await,
        );
        let ada = market.login("ada", one.clone()).await;
        let replace = Change::RevokeKey {
            namespace: "ada".parse().unwrap(),
            account: ada.account.clone(),
            key: one.public(),
            successor: Some(OwnerKey {
                public: next.public(),
                expires: None,
            }),
        };
        ada.change(replace, &[&one, &next]).await.unwrap();
        let said = by(home, &["keys", "rotate", "--json"])
            .await
            .exits(0)
            .json();
        assert_eq!(said["public"], next.public().to_string());
        let leaves = said["namespaces"].as_object().unwrap();
        assert_eq!(leaves.keys().collect::<Vec<_>>(), ["other"]);

        // The new one publishes, and nobody had to log in for that.
        let file = home.join("echo.wasm");
        std::fs::write(&file, echo("other/echo", "1.0.0").await.bytes()).unwrap();
        by(home, &["publish", file.to_str().unwrap()])
            .await
            .exits(0);
        let kept = keys(home).await;
        let kept = kept
            .iter()
            .find(|(name, _)| name.starts_with("default.old-"));
        let (name, public) = kept.unwrap();
        assert_eq!(*public, one.public().to_string());
        let said = by(home, &["login", "--signing-key", name]).await.exits(4);
        assert!(said.err.contains(public), "{}", said.err);
        assert!(said.err.contains("--signing-key"), "{}", said.err);
    });
}

#[test]
fn keys_of_several_accounts_and_keys_that_end_are_replaced_as_they_are() {
    TestMarketplace::run(async |market| {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        for key in ["default", "ci"] {
            by(home, &["keys", "new", key]).await.exits(0);
        }
        pin(home, &market).await;
        for account in ["ada", "bob"] {
            by(home, &["login", "--account", account]).await.exits(0);
            by(home, &["namespace", "create", account]).await.exits(0);
        }
        let add = ["owner", "add-key", "bob", "--new-key", "ci", "--expires"];
        let past = [&add[..], &["2001-01-01T00:00:00Z"]].concat();
        let said = by(home, &past).await.exits(2);
        assert!(said.err.contains("in the past"), "{}", said.err);
        let end = [&add[..], &["2101-01-01T00:00:00Z"]].concat();
        let said = by(home, &end).await.exits(0);
        assert!(said.out.contains("2101"), "{}", said.out);

        // Both accounts log in with `default`, and neither with `ci`.
        let said = by(home, &["keys", "rotate"]).await.exits(0);
        let said = said.err;
        assert!(
            said.contains("for ada") && said.contains("for bob"),
            "{said}"
        );
        for account in ["ada", "bob"] {
            by(home, &["login", "--account", account]).await.exits(0);
        }
        let said = by(home, &["keys", "rotate", "ci"]).await.exits(0).err;
        assert!(said.contains("with another key, which stays"), "{said}");
        let ci = by(home, &["keys", "export", "ci"]).await.exits(0).out;
        let owners = by(home, &["owner", "list", "bob"]).await.exits(0).out;
        let line = owners.lines().find(|line| line.contains(ci.trim()));
        assert!(line.unwrap().contains("until 2101"), "{owners}");
    });
}

#[test]
fn a_key_that_somebody_found_and_planted_is_replaced_elsewhere() {
    TestMarketplace::run(async |market| {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        by(home, &["keys", "new"]).await.exits(0);
        pin(home, &market).await;
        by(home, &["login", "--account", "ada"]).await.exits(0);
        by(home, &["namespace", "create", "ada"]).await.exits(0);
        // Eve has found it, and a namespace of hers says that it is hers.
        let found = secret(home, "default").await;
        let eve = market.author("eve").await;
        let plant = Change::Create {
            namespace: "trap".parse().unwrap(),
            owner: owner("eve", &found),
        };
        eve.change(plant, &[&found]).await.unwrap();
        let said = by(home, &["keys", "rotate"]).await.exits(4);
        assert!(said.err.contains("--except eve"), "{}", said.err);
        let said = by(home, &["keys", "rotate", "--except", "eve", "--json"]).await;
        let said = said.exits(0).json();
        let leaves = said["namespaces"].as_object().unwrap();
        assert_eq!(leaves.keys().collect::<Vec<_>>(), ["ada"]);
    });
}

#[test]
fn a_key_that_nobody_knows_is_replaced_here() {
    TestMarketplace::run(async |market| {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        by(home, &["keys", "new", "mine"]).await.exits(0);
        let said = by(home, &["keys", "rotate", "mine", "--only-here"]).await;
        assert!(said.exits(0).err.contains("still signs with it"));
        pin(home, &market).await;
        let said = by(home, &["keys", "rotate", "mine"]).await.exits(0);
        assert!(
            said.err
                .contains("No marketplace that is known here knows it")
        );
        assert_eq!(market.client().checkpoint().await.unwrap().size(), 0);
        by(home, &["keys", "rotate", "none"]).await.exits(5);
    });
}
