//! Processes that are killed.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::harness::{Prometheus, Setup, TestHost, TestMarketplace, until};

/// On a port that it has again after each start, so that it stays one target.
pub(super) fn on_one_port() -> Setup {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    Setup::default().flag("--listen", address.to_string())
}

pub(super) async fn a_host_comes_and_goes(prometheus: &Prometheus, host: &mut TestHost) {
    let instance = host.address();
    let answers = format!("soma_http_responses_total{{instance=\"{instance}\",status=\"200\"}}");
    let resets = format!("resets({answers}[10m])");
    for starts in 1..=3 {
        // More than the next one has given when it is first looked at.
        for _ in 0..30 {
            host.admin.get("/healthz").await.status_is(200);
        }
        until(async || value(prometheus, &answers).await >= 30.0).await;
        host.kill_and_restart().await;
        until(async || value(prometheus, &resets).await >= f64::from(starts)).await;
    }
    let alerts = ["SomaHostRestarting"];
    prometheus.fires(instance, &alerts, async || {}).await;
    host.signal(Signal::KILL);
    host.ended().await;
    let alerts = ["SomaHostDown"];
    prometheus.fires(instance, &alerts, async || {}).await;
}

/// Of the first sample; 0 where there is none.
async fn value(prometheus: &Prometheus, expression: &str) -> f64 {
    let samples = prometheus.query(expression).await;
    let value = samples
        .first()
        .and_then(|sample| sample["value"][1].as_str());
    value.map_or(0.0, |value| value.parse().unwrap())
}

pub(super) async fn a_marketplace_is_killed(prometheus: &Prometheus, market: &mut TestMarketplace) {
    market.kill();
    let alerts = ["SomaMarketplaceDown"];
    prometheus
        .fires(market.address(), &alerts, async || {})
        .await;
}
