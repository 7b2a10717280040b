//! What calls do to a host: guests that fail in every way, budgets that are spent, too many at once.

use std::cell::Cell;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{Prometheus, Setup, TestHost, Upstream, pack_with, until};

pub(super) async fn guests_misbehave(prometheus: &Prometheus, host: &TestHost) {
    for (guest, limit) in [
        ("spin", "fuel = 5_000_000"),
        ("sleep", "time-ms = 100"),
        ("memory_bomb", "memory-mib = 32"),
    ] {
        let limits = format!("[limits]\n{limit}");
        host.install(&pack_with(guest, &limits)).await;
    }
    host.install_guests(&["trap", "bad_json", "denied_flood"])
        .await;
    let calls = [
        (3, "trap", json!({})),
        (2, "spin", json!({})),
        (2, "sleep", json!({})),
        (2, "memory_bomb", json!({})),
        (2, "bad_json", json!({"text": "{not json"})),
        // It asks for an origin that nobody granted.
        (1, "denied_flood", json!({"times": 5, "bytes": 4})),
    ];
    let call = async || {
        for (times, guest, input) in &calls {
            for _ in 0..*times {
                host.call(guest, input).await;
            }
        }
    };
    let alerts = [
        "SomaToolTrapping",
        "SomaToolFailing",
        "SomaToolOutOfFuel",
        "SomaToolOutOfTime",
        "SomaToolOutOfMemory",
        "SomaToolAnswersNoJson",
        "SomaEgressDenied",
    ];
    prometheus.fires(host.address(), &alerts, call).await;
}

/// A key spends all that it has, which is five sixths of what its tenant has.
pub(super) async fn budgets_are_spent(prometheus: &Prometheus, host: &TestHost) {
    host.install_guests(&["echo"]).await;
    let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
    let key = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    let client = host.admin.with_key(key["secret"].as_str().unwrap());
    let budgets = "/v1/admin/budgets";
    let mut budget = json!({"tenant": "default", "span": "lifetime", "tokens": 24, "hard": true});
    host.admin.put(budgets, &budget).await.expect(200);
    budget["key"] = key["id"].clone();
    budget["tokens"] = json!(20);
    host.admin.put(budgets, &budget).await.expect(200);
    // Each call is one token.
    for _ in 0..20 {
        client
            .call("tests/echo", "run", &json!({}))
            .await
            .expect(200);
    }
    let refused = async || {
        for _ in 0..4 {
            let answer = client.call("tests/echo", "run", &json!({})).await;
            answer.problem(402, "budget-exhausted");
        }
    };
    let alerts = [
        "SomaBudgetNearlySpent",
        "SomaBudgetExhausted",
        "SomaBudgetRefusals",
    ];
    prometheus.fires(host.address(), &alerts, refused).await;
}

/// Two slots, and twenty places to wait in: one tenant may have ten of them.
pub(super) fn few_places() -> Setup {
    Setup::default()
        .limits("time-ms=120000")
        .flag("--concurrent-calls", "2")
        .flag("--waiting-calls", "20")
}

/// The host has one tenant, which takes all that one may have.
pub(super) async fn the_queue_is_full(
    prometheus: &Prometheus,
    host: &TestHost,
    upstream: &Upstream,
) {
    host.install_guests(&["http"]).await;
    let gate = json!({"url": upstream.url("/gate")});
    let is_over = Cell::new(false);
    let flood = join_all((0..12).map(|_| async {
        while !is_over.get() {
            host.call("http", &gate).await;
        }
    }));
    let more = async {
        until(async || host.metric("soma_queue_used_ratio").await >= 1.0).await;
        let turned_away = async || {
            for _ in 0..3 {
                // Where a place has just become free it would wait like the others: that is given up.
                let call = host.call("http", &gate);
                drop(timeout(Duration::from_secs(1), call).await);
            }
        };
        let alerts = [
            "SomaSlotsBusy",
            "SomaSlotsSaturated",
            "SomaQueueFilling",
            "SomaQueueFull",
            "SomaTurningAway",
        ];
        prometheus.fires(host.address(), &alerts, turned_away).await;
        is_over.set(true);
        upstream.open_gate(1000);
    };
    tokio::join!(flood, more);
}
