//! The SDK's WebAssembly half, in a real host.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::api::SETTINGS;
use crate::harness::{Setup, TestHost, Upstream, pack_with};

#[test]
pub(super) fn with_sdk() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |host| {
        host.install_guests(&["with_sdk"]).await;
        let input = json!({"origin": upstream.origin()});
        let seen = host.call("with_sdk", &input).await.structured();
        assert_eq!(seen["hello"], "hello");
        assert_eq!(
            (&seen["ready"], &seen["status"]),
            (&json!([0]), &json!(200))
        );
        let echoed: Value = serde_json::from_str(seen["echoed"].as_str().unwrap()).unwrap();
        assert_eq!(echoed["method"], "POST");
        assert_eq!(echoed["body"], "one two");

        let told = SystemTime::UNIX_EPOCH + Duration::from_secs(seen["now"].as_u64().unwrap());
        let now = SystemTime::now();
        assert!(
            told <= now && now < told + Duration::from_secs(60),
            "{seen}"
        );
        assert!(seen["elapsed_ms"].as_u64().unwrap() < 30_000, "{seen}");
        assert_ne!(seen["random_tail"], json!(vec![0; 16]));
        let again = host.call("with_sdk", &input).await.structured();
        assert_ne!(seen["random"], again["random"]);
        assert_ne!(seen["random_tail"], again["random_tail"]);

        let line = host.logged(&format!("asks {}", upstream.origin())).await;
        assert!(line.contains("guest"), "{line}");
        host.call("with_sdk", &json!({})).await.problem(424, "trap");
        host.logged("an origin to ask").await;
        assert!(!host.log().contains("below info"), "{}", host.log());
    });
}

#[test]
pub(super) fn settings() {
    Setup::default().run(async |host| {
        host.install(&pack_with("settings", SETTINGS)).await;
        let keys = json!({"keys": ["region", "units", "secret", "Not a name", ""]});
        let ask = async || host.call("settings", &keys).await.structured();
        let nothing =
            json!({"region": null, "units": null, "secret": null, "Not a name": null, "": null});
        assert_eq!(ask().await, nothing);

        let capsule = TestHost::capsule("settings");
        let give = async |config: Value| {
            let wanted = json!({"grant": {"config": config}});
            host.grant(&capsule, &wanted).await
        };
        give(json!({"region": "eu-1", "secret": "x"}))
            .await
            .expect(200);
        let answer = ask().await;
        assert_eq!(
            (&answer["region"], &answer["units"]),
            (&json!("eu-1"), &json!(null))
        );
        assert_eq!(answer["secret"], json!(null), "it does not ask for that");
        let wanted = json!({"keys": ["region", "units"], "require": true});
        let failed = host.call("settings", &wanted).await;
        let detail = failed.problem(424, "tool-failed").to_string();
        assert!(detail.contains("`units` has no value"), "{detail}");

        for (config, part) in [
            (json!({"Region": "x"}), "is not a name"),
            (json!({"region": "\u{1b}[2J"}), "control character"),
            (json!({"region": "x".repeat(4097)}), "at most 4096"),
            (json!({"region": 1}), "string"),
        ] {
            let refused = give(config).await.problem(400, "bad-request").to_string();
            assert!(refused.contains(part), "{refused}");
        }
        assert_eq!(
            ask().await["region"],
            "eu-1",
            "what was refused changed nothing"
        );

        let url = TestHost::grant_path(&capsule);
        host.admin.delete(&url).await.expect(204);
        assert_eq!(ask().await, nothing);
    });
}
