//! `soma install NAMESPACE/NAME`, `outdated`, `update`, `list`, `pin`.

use std::path::Path;

use serde_json::json;

use super::{call, echo, know, setup};
use crate::cli::beside as at;
use crate::harness::{FalseLog, component, pack_version, until};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn installed_locked_outdated_updated() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        let lock = host.data().join("capsules.lock");
        let said = at(&host, &["install", "acme/echo@^1", "--lock", text(&lock)]).await;
        let said = said.exits(0);
        assert!(
            said.out.contains("installed: acme/echo 1.0.0"),
            "{}",
            said.out
        );
        assert!(said.out.contains("leaf 1 of log.test"), "{}", said.out);
        let list = at(&host, &["list"]).await.exits(0).out;
        assert!(
            list.contains("1.0.0") && list.contains("log.test"),
            "{list}"
        );
        let none = at(&host, &["outdated"]).await.exits(0).out;
        assert!(none.contains("newest version"), "{none}");

        let lines = "[limits]\ntime-ms = 7000";
        let newer = pack_version(&component("echo"), "acme/echo", "1.1.0", lines);
        log.publish(&acme, &newer);
        until(async || at(&host, &["outdated"]).await.out.contains("1.1.0")).await;
        // Nobody is there to be asked, so it waits.
        let said = at(&host, &["update"]).await.exits(0);
        assert!(said.err.contains("version 1.0.0 → 1.1.0"), "{}", said.err);
        assert!(said.err.contains("limits"), "{}", said.err);
        let held = "held until `soma approve`: acme/echo 1.1.0";
        assert!(said.out.contains(held), "{}", said.out);
        at(&host, &["update", "other/one", "--yes"]).await.exits(5);
        let list = at(&host, &["approve"]).await.exits(0).out;
        assert!(list.contains("need your word"), "{list}");
        let said = at(&host, &["approve", "acme/echo"]).await.exits(2);
        assert!(said.err.contains("limits") && said.err.contains("--yes"));
        let said = at(&host, &["approve", "acme/echo", "--yes"]).await.exits(0);
        assert!(said.out.contains("serves from now on: acme/echo 1.1.0"));
        at(&host, &["approve", "acme/echo", "--yes"]).await.exits(5);
        let said = at(&host, &["rollback", "acme/echo", "--yes"]).await;
        let said = said.exits(0);
        assert!(said.out.contains("serves again: acme/echo 1.0.0"));
        at(&host, &["rollback", "acme/echo", "--yes"])
            .await
            .exits(5);
        let said = at(&host, &["update", "acme/echo", "--yes", "--json"])
            .await
            .exits(0);
        assert_eq!(said.json()["updated"][0]["version"], "1.1.0");
        assert_eq!(call(&host).await.structured(), json!({"a": 1}));

        // The lockfile still says the old one, and is followed to the letter.
        let said = at(&host, &["install", "--lock", text(&lock), "--json"])
            .await
            .exits(0);
        assert_eq!(said.json()["version"], "1.0.0");
        let locked = std::fs::read_to_string(&lock).unwrap();
        let other = locked.replace(
            &echo("1.0.0").digest().to_string(),
            &newer.digest().to_string(),
        );
        std::fs::write(&lock, other).unwrap();
        at(&host, &["install", "--lock", text(&lock)])
            .await
            .exits(5);
        // Another leaf is told before anything is installed.
        at(&host, &["uninstall", "acme/echo", "--yes"])
            .await
            .exits(0);
        std::fs::write(&lock, locked.replace("leaf = 1", "leaf = 999")).unwrap();
        let said = at(&host, &["install", "--lock", text(&lock)]).await;
        assert!(said.exits(1).err.contains("says leaf 999"));
        let list = at(&host, &["list", "--json"]).await.exits(0).json();
        assert_eq!(list["capsules"], json!([]));
    });
}

#[test]
fn what_is_newer_is_not_known_while_the_marketplace_is_away() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        at(&host, &["install", "acme/echo"]).await.exits(0);
        let said = at(&host, &["outdated"]).await.exits(0);
        assert!(said.out.contains("newest version") && said.err.is_empty());
        drop(log);
        until(async || at(&host, &["outdated"]).await.err.contains("log.test")).await;
        let said = at(&host, &["outdated"]).await.exits(0);
        assert!(said.out.contains("Nothing newer is known"), "{}", said.out);
        let said = at(&host, &["update"]).await.exits(0);
        assert!(said.err.contains("there may be newer"), "{}", said.err);
        at(&host, &["install", "acme/echo"]).await.exits(3);
    });
}

#[test]
fn pins_are_shown_and_removed() {
    setup().run(async |host| {
        let mut log = FalseLog::start("log.test");
        let acme = log.publisher("acme");
        log.publish(&acme, &echo("1.0.0"));
        know(&host, &[&log]);
        at(&host, &["install", "acme/echo"]).await.exits(0);
        let pins = at(&host, &["pin", "list"]).await.exits(0).out;
        assert!(
            pins.contains("acme") && pins.contains("log.test+"),
            "{pins}"
        );
        at(&host, &["pin", "remove", "acme"]).await.exits(0);
        at(&host, &["pin", "remove", "acme"]).await.exits(5);
        at(&host, &["install", "acme/none"]).await.exits(5);
        at(&host, &["install", "no such thing"]).await.exits(2);
        at(&host, &["install"]).await.exits(2);
    });
}
