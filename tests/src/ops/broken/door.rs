//! What comes to the door and is turned away there.

use reqwest::Method;
use serde_json::json;

use crate::api::key;
use crate::harness::{Prometheus, TestHost, send};

pub(super) async fn strangers_come(prometheus: &Prometheus, host: &TestHost) {
    host.install_guests(&["echo"]).await;
    let wanted = json!({"tenant": "default", "scopes": ["invoke"], "calls_per_minute": 6});
    let slow = key(host, wanted).await;
    let nobody = host.invoke.with_key("soma_nobody");
    let come = async || {
        for _ in 0..4 {
            nobody.get("/v1/tools").await.problem(401, "unauthorized");
            let admins = host.invoke.get("/v1/admin/keys").await;
            admins.problem(403, "forbidden");
            for _ in 0..5 {
                let nothing = host.invoke.get("/v1/nothing").await;
                nothing.problem(404, "no-such-path");
            }
            let rebound = host.invoke.request(Method::GET, "/v1/tools");
            let rebound = send(rebound.header("host", "evil.example")).await;
            rebound.problem(421, "misdirected");
            // All but a few are over its rate.
            for _ in 0..2 {
                slow.call("tests/echo", "run", &json!({})).await;
            }
        }
    };
    let alerts = [
        "SomaUnauthorizedBurst",
        "SomaForbiddenBurst",
        "SomaPathsProbed",
        "SomaMisdirected",
        "SomaRateLimited",
    ];
    prometheus.fires(host.address(), &alerts, come).await;
}
