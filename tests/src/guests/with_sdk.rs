//! The SDK's WebAssembly half, in a real host.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{Setup, Upstream};

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
