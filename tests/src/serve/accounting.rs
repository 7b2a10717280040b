//! `--accounting false`, by which it is measured what counting costs: nothing is counted, and nobody is
//! told of a budget that would not hold.

use serde_json::{Value, json};

use crate::harness::{Setup, TestHost, command, until};

const BUDGETS: &str = "/v1/admin/budgets";

/// Calls that the usage has, and those that the metrics have.
async fn counted(host: &TestHost) -> (u64, f64) {
    let usage = host.admin.get("/v1/usage?tenant=default&by=capsule").await;
    let usage = usage.expect(200);
    let lines = usage["usage"].as_array().unwrap();
    let calls = lines.iter().filter_map(|line| line["calls"].as_u64()).sum();
    let ran = "soma_calls_total{capsule=\"tests/echo\",outcome=\"ok\",tool=\"run\"}";
    (calls, host.metric(ran).await)
}

/// What is said where a host is to start on the database of this one and count nothing.
fn refusal(host: &TestHost) -> String {
    let own = || format!("sqlite://{}", host.data().join("soma.db").display());
    let database = host.database().map_or_else(own, str::to_owned);
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder.path().join("data"))
        .args(["serve", "--listen", "127.0.0.1:0", "--accounting", "false"])
        .env("SOMA_DATABASE", database)
        .output()
        .unwrap();
    assert!(!output.status.success(), "it started");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_host_that_counts_nothing_takes_no_budgets() {
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo", "spin"]).await;
        host.call("echo", &json!({})).await.expect(200);
        until(async || counted(&host).await == (1, 1.0)).await;

        let budget = json!({"tenant": "default", "span": "day", "tokens": 1_000_000, "hard": true});
        host.admin.put(BUDGETS, &budget).await.expect(200);
        let said = refusal(&host);
        assert!(said.contains("there are budgets"), "{said}");
        assert!(said.contains("soma budget rm"), "{said}");
        let path = format!("{BUDGETS}?tenant=default&span=day");
        host.admin.delete(&path).await.expect(204);

        host.restart_with(&["--accounting", "false"]).await;
        let call = async |guest: &str, fields: &[(&str, &str)]| {
            host.invoke.call_with(guest, &json!({}), fields).await
        };
        call("echo", &[("soma-session", "s")]).await.expect(200);
        assert_eq!(counted(&host).await, (1, 0.0));
        let is_refused = |problem: Value| {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("counts nothing"), "{problem}");
        };
        let set = host.admin.put(BUDGETS, &budget).await;
        is_refused(set.problem(409, "conflict"));
        let narrowed = [("soma-session", "s"), ("soma-session-tokens", "5")];
        is_refused(call("echo", &narrowed).await.problem(409, "conflict"));
        // What the caller says of one call holds as ever.
        let bounded = call("spin", &[("soma-max-tokens", "10")]).await;
        bounded.problem(424, "out-of-tokens");
    });
}
