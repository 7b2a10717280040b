//! Publishing, fetching, and what may change about a version.

use std::net::IpAddr;

use soma_capability::Digest;
use soma_registry::api::{OperatorChange, Published};
use soma_registry::client::Decision;
use soma_registry::{Change, Package, Standing};

use crate::harness::{TestMarketplace, capsule_name, echo, problem, version};

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
        for namespace in ["modern", "modem", "mo-dern", "acme", "local"] {
            problem(eve.create(namespace).await, "name-taken");
        }
        ada.publish(&echo("modern/tool", "1.0.0").await)
            .await
            .unwrap();
        problem(
            ada.publish(&echo("modern/t0ol", "1.0.0").await).await,
            "name-taken",
        );

        let file = format!("{}/v1/packages/modern/tool/1.0.0/capsule", market.url);
        // One address counts once, however often it asks: a hundred are a hundred.
        for last in (1..=100).chain([1; 20]) {
            let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 1, last]));
            let client = client.build().unwrap();
            client
                .get(&file)
                .send()
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
        }
        let tool = capsule_name("modern/tool");
        assert_eq!(market.client().package(&tool).await.unwrap().downloads, 100);
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
