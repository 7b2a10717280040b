//! `kill -9` at any moment: a version is there, verifiable and logged, or it is not there at all.

use soma_registry::client::ClientError;
use soma_registry::{Package, SecretKey};

use crate::harness::{TestMarketplace, echo, full};

#[test]
fn publishing_survives_being_killed_at_any_moment() {
    let rounds = if full() { 100 } else { 10 };
    TestMarketplace::run(async |mut market| {
        let ada = market.publisher("ada").await;
        let mut packages = Vec::new();
        for round in 0..rounds {
            packages.push(echo("ada/echo", &format!("1.{round}.0")).await);
        }
        // How long one takes, to aim at all of it.
        let begun = std::time::Instant::now();
        ada.publish(&echo("ada/first", "1.0.0").await)
            .await
            .unwrap();
        let whole = begun.elapsed();
        for (round, package) in (0_u32..).zip(&packages) {
            let author = market.login("ada", ada.key.clone()).await;
            let publishing = tokio::spawn({
                let package = package.clone();
                async move { author.publish(&package).await.map(|_| ()) }
            });
            // Spread over the time that it takes and a little beyond, in an order of its own.
            let at = whole * ((round * 37) % 100 + 1) / 90;
            tokio::time::sleep(at).await;
            market.kill();
            let answer = publishing.await.unwrap();
            market.restart().await;
            check(&market, package, &ada.key, answer).await;
        }
        let audit = market.client().audit().await.unwrap();
        assert!(audit.differences.is_empty(), "{:?}", audit.differences);
    });
}

async fn check(
    market: &TestMarketplace,
    package: &Package,
    key: &SecretKey,
    answer: Result<(), ClientError>,
) {
    let client = market.client();
    let manifest = package.manifest();
    match client.bundle(&manifest.name, &manifest.version).await {
        Ok(bundle) => {
            bundle.prove(package, &market.key).unwrap();
            let file = client.capsule(&manifest.name, &manifest.version).await;
            assert_eq!(file.unwrap(), package.bytes());
        }
        Err(error) if error.is_not_found() => {
            assert!(answer.is_err(), "it was answered, and is not there");
            let ada = market.login("ada", key.clone()).await;
            ada.publish(package).await.unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}
