//! `/healthz`, `/readyz`, `/metrics`.

use serde_json::json;

use crate::harness::Setup;

#[test]
fn health_needs_no_key() {
    Setup::default().run(async |host| {
        let nobody = host.invoke.with_key("");
        nobody.get("/healthz").await.status_is(200);
        nobody.get("/readyz").await.status_is(200);
    });
}

#[test]
fn metrics_count_calls_by_capsule_tool_and_outcome() {
    Setup::default().limits("fuel=1000000").run(async |host| {
        host.install_guests(&["echo", "spin"]).await;
        for _ in 0..3 {
            host.call("echo", &json!({})).await.expect(200);
        }
        host.call("spin", &json!({}))
            .await
            .problem(424, "out-of-fuel");
        host.call("echo", &json!([]))
            .await
            .problem(422, "invalid-input");
        let calls = async |capsule: &str, outcome: &str| {
            let labels = format!("capsule=\"tests/{capsule}\",outcome=\"{outcome}\",tool=\"run\"");
            host.metric(&format!("soma_calls_total{{{labels}}}")).await
        };
        assert_eq!(calls("echo", "ok").await, 3.0);
        assert_eq!(calls("spin", "out-of-fuel").await, 1.0);
        assert_eq!(calls("echo", "invalid-input").await, 1.0);

        let spin = "{capsule=\"tests/spin\",tool=\"run\"}";
        assert_eq!(
            host.metric(&format!("soma_call_fuel_sum{spin}")).await,
            1_000_000.0
        );
        for histogram in ["duration_seconds", "memory_bytes"] {
            let count = format!("soma_call_{histogram}_count{spin}");
            assert_eq!(host.metric(&count).await, 1.0, "{count}");
        }
        assert_eq!(host.metric("soma_instances_in_use").await, 0.0);
        let delete = host.admin.delete("/v1/capsules/tests/spin").await;
        delete.expect(204);
        let metrics = host.admin.get("/metrics").await.text;
        assert!(!metrics.contains("tests/spin"), "{metrics}");
        assert!(metrics.contains("tests/echo"), "{metrics}");
        assert!(
            host.metric("soma_http_responses_total{status=\"200\"}")
                .await
                >= 3.0
        );
    });
}
