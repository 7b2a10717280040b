//! What dashboards show and what alerts look at is there: on a host and a marketplace to which
//! everything has happened once.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use soma_registry::Change;

use crate::harness::{
    Author, Client, Prometheus, Setup, TestHost, TestMarketplace, Upstream, echo, full, problem,
    repository, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_has_data_and_every_metric_is_there() {
    if !full() {
        return;
    }
    let (upstream, gone) = (Upstream::start(), Upstream::start());
    let market = TestMarketplace::on_sqlite().await;
    let setup = Setup::default()
        .allow(&upstream)
        .allow(&gone)
        .flag("--trust-revocation-interval", "1");
    let host = TestHost::start(&setup, None).await;
    let prometheus = Prometheus::start(&[host.address()], &[market.address()]).await;
    install(&host, &market).await;
    let poor = budgets(&host).await;
    let calls = [
        (
            "http",
            json!({"url": upstream.url("/echo"), "method": "POST", "body": "hello"}),
        ),
        ("http", json!({"url": gone.url("/hello")})),
        ("denied_flood", json!({"times": 2, "bytes": 4})),
    ];
    drop(gone);

    let asked = async {
        prometheus.settled().await;
        blank(&prometheus).await
    };
    let without_data = tokio::select! {
        () = happen(&host, &market, &calls, &poor) => unreachable!("it happens for ever"),
        without_data = asked => without_data,
    };
    assert_eq!(without_data, Vec::<String>::new());
    let checked = Command::new(repository().join("scripts/ops.sh"))
        .arg(format!("{}/metrics", host.url))
        .arg(format!("{}/metrics", market.url))
        .output()
        .expect("bash");
    let errors = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{errors}");
}

/// Two capsules from the marketplace, one of which is revoked there.
async fn install(host: &TestHost, market: &TestMarketplace) {
    let list = format!(
        "[[marketplace]]\nurl = \"{}\"\nkey = \"{}\"\n",
        market.url, market.key
    );
    fs::write(host.data().join("marketplaces.toml"), list).unwrap();
    let ada = market.publisher("ada").await;
    for name in ["ada/echo", "ada/other"] {
        ada.publish(&echo(name, "1.0.0").await).await.unwrap();
        let wanted = json!({"package": name});
        host.admin.post("/v1/capsules", &wanted).await.expect(201);
    }
    revoke(&ada, "ada/other").await;
    let input = json!({});
    until(async || host.invoke.call("ada/other", "run", &input).await.status == 410).await;
    let guests = ["http", "trap", "denied_flood"];
    host.install_guests(&guests).await;
}

async fn revoke(author: &Author, capsule: &str) {
    let change = Change::Revoke {
        capsule: capsule.parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        reason: "it sends secrets away".to_owned(),
    };
    author.change(change, &[&author.key]).await.unwrap();
}

/// A budget of the tenant's that is not spent, and a key whose own is.
async fn budgets(host: &TestHost) -> Client {
    let wanted = json!({"tenant": "default", "scopes": ["invoke"]});
    let key = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
    let path = "/v1/admin/budgets";
    let mut budget =
        json!({"tenant": "default", "span": "day", "tokens": 100_000_000, "hard": true});
    host.admin.put(path, &budget).await.expect(200);
    budget["key"] = key["id"].clone();
    budget["tokens"] = json!(0);
    host.admin.put(path, &budget).await.expect(200);
    host.admin.with_key(key["secret"].as_str().unwrap())
}

/// Everything that a panel shows, again and again.
async fn happen(host: &TestHost, market: &TestMarketplace, calls: &[(&str, Value)], poor: &Client) {
    let nobody = host.invoke.with_key("");
    let nothing = json!({});
    loop {
        let answer = host.invoke.call("ada/echo", "run", &nothing).await;
        answer.expect(200);
        for (guest, input) in calls {
            host.call(guest, input).await.expect(200);
        }
        host.call("trap", &nothing).await.problem(424, "trap");
        let answer = host.invoke.call("ada/other", "run", &nothing).await;
        answer.problem(410, "revoked");
        let answer = poor.call("ada/echo", "run", &nothing).await;
        answer.problem(402, "budget-exhausted");
        nobody.get("/v1/tools").await.problem(401, "unauthorized");
        problem(market.client().invitations().await, "unauthorized");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The panels and variables of all dashboards that show nothing.
async fn blank(prometheus: &Prometheus) -> Vec<String> {
    let folder = repository().join("host/ops/grafana/dashboards");
    let mut blank = Vec::new();
    for file in folder.read_dir().unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let variables = list(&dashboard["templating"]["list"]);
        for variable in variables {
            let query = text_of(&variable["query"]["query"]);
            if !offers(prometheus, &filled(query, variables)).await {
                blank.push(format!("{}: {query}", dashboard["title"]));
            }
        }
        for panel in list(&dashboard["panels"]) {
            for target in list(&panel["targets"]) {
                let expression = filled(text_of(&target["expr"]), variables);
                if !shows(prometheus, &expression).await {
                    blank.push(format!("{}: {expression}", panel["title"]));
                }
            }
        }
    }
    blank
}

/// A query as Grafana sends it where everything is chosen.
fn filled(query: &str, variables: &[Value]) -> String {
    let mut query = query
        .replace("$__rate_interval", "10s")
        .replace("$__range", "1h");
    for variable in variables {
        let name = format!("${}", text_of(&variable["name"]));
        query = query.replace(&name, text_of(&variable["allValue"]));
    }
    assert!(!query.contains('$'), "{query}");
    query
}

/// Whether there is a number to show. A quotient of nothing is none.
async fn shows(prometheus: &Prometheus, expression: &str) -> bool {
    let samples = prometheus.query(expression).await;
    samples.iter().any(|sample| sample["value"][1] != "NaN")
}

/// Whether a variable has something to choose: `label_values(SELECTOR, LABEL)`.
async fn offers(prometheus: &Prometheus, query: &str) -> bool {
    let inner = query.strip_prefix("label_values(").unwrap();
    let (selector, label) = inner.trim_end_matches(')').rsplit_once(", ").unwrap();
    !prometheus.label_values(selector, label).await.is_empty()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn text_of(value: &Value) -> &str {
    value.as_str().expect("a text")
}
