//! What a guest finds around it: nothing of the last call, nothing of the host, and the few
//! things it is given.

use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use serde_json::json;

use crate::harness::{Setup, TestHost};

#[test]
pub(super) fn canary() {
    // One slot: every call runs where the last one ran.
    Setup::default()
        .flag("--concurrent-calls", "1")
        .run(async |host| {
            host.install_guests(&["canary"]).await;
            for _ in 0..5 {
                let seen = host.call("canary", &json!({})).await.structured();
                assert_eq!(seen["found"], 0);
                assert!(seen["left"].as_u64().unwrap() > 1_000_000, "{seen}");
            }
        });
}

#[test]
pub(super) fn table_canary() {
    Setup::default()
        .flag("--concurrent-calls", "1")
        .run(async |host| {
            host.install_guests(&["table_canary"]).await;
            for _ in 0..5 {
                assert_eq!(host.call("table_canary", &json!({})).await.structured(), 0);
            }
        });
}

#[test]
pub(super) fn ambient() {
    Setup::default()
        .env("SOMA_TEST_SECRET", "not for guests")
        .run(async |host| {
            host.install_guests(&["ambient"]).await;
            assert_eq!(
                host.call("ambient", &json!({})).await.structured(),
                json!({
                    "environment": 0,
                    "arguments": 0,
                    "stdin": "",
                    "files": false,
                    "network": false,
                })
            );
        });
}

#[test]
pub(super) fn imports() {
    Setup::default().run(async |host| {
        host.install_guests(&["imports"]).await;
        let first = host.call("imports", &json!({})).await.structured();
        let second = host.call("imports", &json!({})).await.structured();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as u64;
        let apart = now.abs_diff(second["now"].as_u64().unwrap());
        assert!(apart < 60_000, "the guest's clock is {apart} ms off");
        assert_eq!(first["steady"], true);
        assert_ne!(first["random"], second["random"]);
        let line = host.logged("a line from the guest").await;
        assert!(line.contains("WARN"), "{line}");
    });
}

#[test]
fn the_same_input_takes_the_same_fuel() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["compute"]).await;
        let input = json!({"n": 100_000});
        let fuel = async |host: &TestHost| {
            let answer = host.call("compute", &input).await.expect(200);
            answer["usage"]["fuel"].as_u64().unwrap()
        };
        let first = fuel(&host).await;
        assert!(first > 100_000, "{first}");
        let beside = join_all((0..20).map(|_| fuel(&host))).await;
        assert!(
            beside.iter().all(|fuel| *fuel == first),
            "{first}: {beside:?}"
        );
        host.restart(|_| {}).await;
        assert_eq!(fuel(&host).await, first);
    });
}
