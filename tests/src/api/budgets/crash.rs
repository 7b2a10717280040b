//! Hosts that are killed while they spend: nothing is overspent, and what is lost is leased.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{BUDGETS, set};
use crate::harness::{Client, Setup, TestHost, full, pack_guest, until};

/// What there is for each round.
const ROOM: u64 = 4000;
/// What a host leases at once: a quarter of what is left, and what its calls need.
const LEASE: u64 = ROOM / 4 + CLIENTS as u64;
const CLIENTS: usize = 4;

/// Calls until there is no answer any more, or no token; gives what was said to be spent.
async fn spend(client: Client) -> u64 {
    let mut spent = 0;
    loop {
        let path = "/v1/capsules/tests/echo/tools/run";
        let request = client.request(Method::POST, path).json(&json!({}));
        let Ok(response) = request.header("soma-max-tokens", "1").send().await else {
            return spent;
        };
        let is_refused = response.status() == 402;
        let Ok(body) = response.text().await else {
            return spent;
        };
        let answer: Value = serde_json::from_str(&body).unwrap();
        match answer["usage"]["tokens"].as_u64() {
            Some(tokens) => spent += tokens,
            None if is_refused => return spent,
            None => panic!("{answer}"),
        }
    }
}

async fn spend_beside(client: &Client) -> u64 {
    let spent = join_all((0..CLIENTS).map(|_| spend(client.clone()))).await;
    spent.iter().sum()
}

/// Used, and leased, as the host says.
async fn standing(host: &TestHost) -> (u64, u64) {
    let list = host.admin.get(&format!("{BUDGETS}?tenant=default")).await;
    let budget = &list.expect(200)["budgets"][0];
    let number = |name: &str| budget[name].as_u64().unwrap();
    let (used, leased) = (number("used"), number("leased"));
    assert!(used + leased <= number("tokens"), "{budget}");
    (used, leased)
}

async fn allow(host: &TestHost, tokens: u64) {
    let wanted = json!({"tenant": "default", "span": "lifetime", "tokens": tokens, "hard": true});
    set(host, wanted).await;
}

#[test]
fn hosts_that_are_killed_overspend_nothing() {
    let rounds: u64 = if full() { 100 } else { 10 };
    Setup::default().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        // A second one where they can share a database.
        let mut other = match host.database() {
            Some(database) => {
                let host = TestHost::start(&Setup::default(), Some(database.to_owned())).await;
                // It is installed, and each host keeps the file for itself.
                let echo = pack_guest("echo");
                host.admin.install(echo.bytes()).await.expect(200);
                Some(host)
            }
            None => None,
        };
        let hosts = 1 + u64::from(other.is_some());
        allow(&host, ROOM).await;
        let mut spent = 0;
        for _ in 0..rounds {
            let (used, leased) = standing(&host).await;
            allow(&host, used + leased + ROOM).await;
            let (first, second) = (
                host.invoke.clone(),
                other.as_ref().map(|it| it.invoke.clone()),
            );
            let load = tokio::spawn(async move {
                let beside = async {
                    match second {
                        Some(client) => spend_beside(&client).await,
                        None => 0,
                    }
                };
                let (first, second) = tokio::join!(spend_beside(&first), beside);
                first + second
            });
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            host.kill_and_restart().await;
            if let Some(other) = &mut other {
                other.kill_and_restart().await;
            }
            spent += load.await.unwrap();
            let (used, leased) = standing(&host).await;
            assert!(used + leased >= spent, "{used} and {leased} of {spent}");
        }
        // What calls are left spend the rest; then everything is given back.
        spent += spend_beside(&host.invoke).await;
        if let Some(other) = &other {
            spent += spend_beside(&other.invoke).await;
        }
        until(async || standing(&host).await.1 == 0).await;
        let (used, _) = standing(&host).await;
        assert!(spent <= used, "{spent}, {used}");
        let lost = used - spent;
        assert!(lost <= rounds * hosts * LEASE, "{lost} in {rounds} rounds");
        eprintln!("{spent} tokens spent, {lost} lost in {rounds} rounds of {hosts} hosts");
    });
}
