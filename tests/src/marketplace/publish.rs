//! Publishing, fetching, and what may change about a version.

use std::net::IpAddr;

use reqwest::Method;
use soma_capability::Digest;
use soma_registry::api::{OperatorChange, Published};
use soma_registry::client::{Decision, Query};
use soma_registry::{Change, Package, SecretKey, SignedChange, Standing};

use crate::harness::{Offer, TestMarketplace, capsule_name, echo, problem, version};

#[test]
fn two_authors_publish_and_anyone_fetches_and_checks() {
    TestMarketplace::run(async |market| {
        for (leaf, account) in [(0, "ada"), (2, "bob")] {
            let author = market.publisher(account).await;
            let package = echo(&format!("{account}/echo"), "1.0.0").await;
            let published = author.publish(&package).await.unwrap();
            assert_eq!(published, Published::Published { leaf: leaf + 1 });

            let client = market.client();
            let name = &package.manifest().name;
            let info = client.package(name).await.unwrap();
            assert_eq!(info.versions.len(), 1);
            let release = client.release(name, &version("1.0.0")).await.unwrap();
            assert_eq!(release.tools, package.tools());
            assert_eq!(release.release.key, author.key.public());

            let bundle = client.bundle(name, &version("1.0.0")).await.unwrap();
            let file = client.capsule(name, &version("1.0.0")).await.unwrap();
            assert_eq!(file, package.bytes());
            let proven = bundle.prove(&package, &market.key).unwrap();
            assert_eq!(proven.release, info.versions[0]);
            assert_eq!(client.package(name).await.unwrap().downloads, 1);
        }
    });
}

#[test]
fn a_version_never_changes_and_never_goes() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        ada.publish(&package).await.unwrap();
        problem(ada.publish(&package).await, "version-taken");
        let mut other = package.bytes().to_vec();
        // Another custom section: the same name and version, other bytes.
        other.extend([0, 5, 1, b'x', 1, 2, 3]);
        let other = Package::read(other).unwrap();
        problem(ada.publish(&other).await, "version-taken");
        let release = market.client().package(&capsule_name("ada/echo")).await;
        assert_eq!(release.unwrap().versions[0].digest, package.digest());
    });
}

#[test]
fn of_sixteen_who_publish_one_version_at_once_one_wins() {
    TestMarketplace::run_with(&["--publications", "16"], async |market| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        let all = (0..16).map(|_| ada.publish(&package));
        let results = futures::future::join_all(all).await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1);
        for result in results.into_iter().filter(Result::is_err) {
            problem(result, "version-taken");
        }
        assert_eq!(market.client().checkpoint().await.unwrap().size(), 2);
    });
}

#[test]
fn yank_is_undone_and_revoke_is_not() {
    TestMarketplace::run_operated(&[], async |market, root| {
        let ada = market.publisher("ada").await;
        let (capsule, first) = (capsule_name("ada/echo"), version("1.0.0"));
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let standing = async || {
            let release = market.client().release(&capsule, &first).await;
            release.unwrap().release.standing
        };
        let yank = Change::Yank {
            capsule: capsule.clone(),
            version: first.clone(),
        };
        let unyank = Change::Unyank {
            capsule: capsule.clone(),
            version: first.clone(),
        };
        ada.change(yank.clone(), &[&ada.key]).await.unwrap();
        assert_eq!(standing().await, Standing::Yanked);
        problem(ada.change(yank, &[&ada.key]).await, "conflict");
        ada.change(unyank.clone(), &[&ada.key]).await.unwrap();
        assert_eq!(standing().await, Standing::Current);

        let revoke = OperatorChange::Revoke {
            capsule: capsule.clone(),
            version: first.clone(),
            reason: "It reads mail.".to_owned(),
        };
        problem(ada.market.operate(&revoke).await, "forbidden");
        root.market.operate(&revoke).await.unwrap();
        let standing = standing().await;
        assert_eq!(standing.revocation().unwrap().reason, "It reads mail.");
        problem(ada.change(unyank, &[&ada.key]).await, "conflict");
        let bundle = market.client().bundle(&capsule, &first).await;
        assert!(bundle.is_ok(), "the proof of what it was stays");
    });
}

#[test]
fn names_that_could_be_mistaken_are_refused_or_held() {
    TestMarketplace::run_operated(&["--reserved", "acme"], async |market, root| {
        let ada = market.publisher("modern").await;
        let eve = market.author("eve").await;
        for namespace in [
            "modern", "modem", "mo-dern", "acme", "acrne", "local", "loca1",
        ] {
            problem(eve.create(namespace).await, "name-taken");
        }
        ada.publish(&echo("modern/tool", "1.0.0").await)
            .await
            .unwrap();
        problem(
            ada.publish(&echo("modern/t0ol", "1.0.0").await).await,
            "name-taken",
        );

        use_well(&market, "modern/tool").await;
        eve.create("moderno").await.unwrap();
        let held = eve
            .publish(&echo("moderno/tool", "1.0.0").await)
            .await
            .unwrap();
        let Published::Held { review, reason } = held else {
            panic!("not held: {held:?}");
        };
        assert!(reason.contains("modern/tool"), "{reason}");
        let moderno = capsule_name("moderno/tool");
        problem(market.client().package(&moderno).await, "not-found");
        let again = eve.publish(&echo("moderno/tool", "1.0.0").await).await;
        let words = problem(again, "conflict");
        assert!(words.contains(&review), "{words}");
        let waiting = root.market.reviews().await.unwrap();
        let [waits] = &waiting[..] else {
            panic!("one waits: {waiting:?}");
        };
        assert_eq!(waits.account, Some(eve.account.clone()));
        let file = root.market.review_capsule(waits).await.unwrap();
        assert_eq!(Digest::of(&file), waits.digest);
        problem(eve.market.review_capsule(waits).await, "forbidden");
        problem(eve.market.reviews().await, "forbidden");
        for patch in 1..10 {
            let more = echo("moderno/tool", &format!("1.0.{patch}")).await;
            eve.publish(&more).await.unwrap();
        }
        let more = eve.publish(&echo("moderno/tool", "1.1.0").await).await;
        let detail = problem(more, "forbidden");
        assert!(detail.contains("wait for a look already"), "{detail}");
        root.market
            .decide(&review, Decision::Approve)
            .await
            .unwrap();
        assert!(market.client().package(&moderno).await.is_ok());
        problem(
            root.market.decide(&review, Decision::Approve).await,
            "not-found",
        );
    });
}

/// Fetches a capsule of version 1.0.0 often enough that it is well used.
async fn use_well(market: &TestMarketplace, capsule: &str) {
    let file = format!("{}/v1/packages/{capsule}/1.0.0/capsule", market.url);
    // One address counts once, however often it asks: a hundred are a hundred. The head alone does
    // not count.
    for (method, last) in (1..=100)
        .chain([1; 20])
        .map(|last| (Method::GET, last))
        .chain([(Method::HEAD, 101)])
    {
        let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 1, last]));
        let client = client.build().unwrap();
        let answer = client.request(method, &file).send().await.unwrap();
        answer.bytes().await.unwrap();
    }
    let package = market.client().package(&capsule_name(capsule)).await;
    assert_eq!(package.unwrap().downloads, 100);
}

#[test]
fn what_is_held_is_judged_again_when_it_is_approved() {
    TestMarketplace::run_operated(&[], async |market, root| {
        let ada = market.publisher("modern").await;
        ada.publish(&echo("modern/tool", "1.0.0").await)
            .await
            .unwrap();
        use_well(&market, "modern/tool").await;
        // Of several who signed, the first by key has published it.
        let mut keys = [
            SecretKey::generate().unwrap(),
            SecretKey::generate().unwrap(),
        ];
        keys.sort_by_key(SecretKey::public);
        let [eve, bob] = keys;
        let (eve, bob) = (
            market.login("eve", eve).await,
            market.login("bob", bob).await,
        );
        eve.create("moderno").await.unwrap();
        let join = Change::AddOwner {
            namespace: "moderno".parse().unwrap(),
            owner: bob.owner(),
        };
        let invitation = eve.sign(join, &[&eve.key]);
        eve.market.invite(&invitation).await.unwrap();
        let accepted = SignedChange::countersign(&invitation, market.key.origin(), &bob.key);
        bob.market.submit(&accepted.unwrap()).await.unwrap();

        let offer = eve.offer(&echo("moderno/tool", "1.0.0").await);
        let change =
            SignedChange::countersign(&offer.change, market.key.origin(), &bob.key).unwrap();
        let held = eve.send(Offer { change, ..offer }).await.unwrap();
        let Published::Held { review, .. } = held else {
            panic!("not held: {held:?}");
        };
        let remove = Change::RemoveOwner {
            namespace: "moderno".parse().unwrap(),
            account: eve.account.clone(),
        };
        bob.change(remove, &[&bob.key]).await.unwrap();
        // It would be bob's now, and the statement is eve's.
        let approved = root.market.decide(&review, Decision::Approve).await;
        let words = problem(approved, "forbidden");
        assert!(words.contains("the login is `eve`'s"), "{words}");
        let moderno = capsule_name("moderno/tool");
        problem(market.client().package(&moderno).await, "not-found");
        root.market.decide(&review, Decision::Refuse).await.unwrap();
        assert!(root.market.reviews().await.unwrap().is_empty());
    });
}

#[test]
fn the_newest_version_is_one_that_is_released() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        for version in ["1.0.0", "2.0.0-rc.1", "1.1.0", "1.0.9"] {
            ada.publish(&echo("ada/echo", version).await).await.unwrap();
        }
        let newest = async || {
            let found = market.client().search(&Query::text("echo")).await;
            found.unwrap().hits[0].version.clone()
        };
        assert_eq!(newest().await, version("1.1.0"));
        for yanked in ["1.1.0", "1.0.9", "1.0.0"] {
            let yank = Change::Yank {
                capsule: capsule_name("ada/echo"),
                version: version(yanked),
            };
            ada.change(yank, &[&ada.key]).await.unwrap();
        }
        // Where there is nothing else.
        assert_eq!(newest().await, version("2.0.0-rc.1"));
    });
}

#[test]
fn builds_of_one_version_are_one_version() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let builds = ["1.0.0", "1.0.0+one", "1.0.0+two", "1.0.0+three"];
        let builds = builds.map(|version| echo("ada/echo", version));
        let builds = futures::future::join_all(builds).await;
        let all = builds.iter().map(|build| ada.publish(build));
        let results = futures::future::join_all(all).await;
        let won = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!(won, 1, "{results:?}");
        for result in results.into_iter().filter(Result::is_err) {
            problem(result, "version-taken");
        }
        ada.publish(&echo("ada/echo", "1.0.1").await).await.unwrap();
    });
}
