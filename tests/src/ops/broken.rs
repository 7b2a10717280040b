//! Hosts that are really broken, each in its own way, and the alerts that fire for them; and a host
//! beside them that serves all the time, for which none does.

mod beyond;
mod calls;
mod door;
mod process;
mod storage;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::harness::{
    OwnDatabase, Prometheus, Setup, TestHost, TestMarketplace, Upstream, full, lacking, postgres,
};

/// What may fire for a host that nothing is wrong with: these are about this machine's disk.
const OF_THE_MACHINE: &str = "SomaDiskLow|SomaDiskNearlyFull|SomaDiskFilling|SomaAuditSlow";

async fn start(setup: Setup) -> TestHost {
    TestHost::start(&setup, None).await
}

/// A host on a database that can go away, where there is a server for one.
async fn start_on_postgres() -> Option<(TestHost, OwnDatabase)> {
    let Some(server) = postgres() else {
        lacking("a database that goes away: SOMA_TEST_POSTGRES is not set");
        return None;
    };
    let database = OwnDatabase::create(server).await;
    let host = TestHost::start(&Setup::default(), Some(database.url())).await;
    Some((host, database))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_fire_where_something_is_broken_and_nowhere_else() {
    if !full() {
        return;
    }
    let (upstream, gone, held) = (Upstream::start(), Upstream::start(), Upstream::start());
    let mut market = TestMarketplace::on_sqlite().await;
    let on_postgres = start_on_postgres().await;
    let (healthy, guests, spending, crowded) = tokio::join!(
        start(Setup::default().allow(&upstream)),
        start(Setup::default()),
        start(Setup::default()),
        start(calls::few_places().allow(&upstream)),
    );
    let (door, full_disk, cut_off, trusting, mut unsteady) = tokio::join!(
        start(Setup::default()),
        start(Setup::default().allow(&held)),
        start(Setup::default().allow(&gone)),
        start(beyond::looks_often()),
        start(process::on_one_port()),
    );
    let hosts = [
        &healthy, &guests, &spending, &crowded, &door, &full_disk, &cut_off, &trusting, &unsteady,
    ];
    let of_database = on_postgres.as_ref().map(|(host, _)| host);
    let hosts = hosts.into_iter().chain(of_database);
    let addresses: Vec<SocketAddr> = hosts.map(TestHost::address).collect();
    let prometheus = Prometheus::start(&addresses, &[market.address()]).await;

    let broken = async {
        prometheus.settled().await;
        tokio::join!(
            calls::guests_misbehave(&prometheus, &guests),
            calls::budgets_are_spent(&prometheus, &spending),
            calls::the_queue_is_full(&prometheus, &crowded, &upstream),
            door::strangers_come(&prometheus, &door),
            storage::the_disk_is_full(&prometheus, &full_disk, &held),
            storage::the_database_is_gone(&prometheus, on_postgres),
            beyond::an_upstream_is_gone(&prometheus, &cut_off, gone, &upstream),
            beyond::logs_lie(&prometheus, &trusting),
            process::a_host_comes_and_goes(&prometheus, &mut unsteady),
            process::a_marketplace_is_killed(&prometheus, &mut market),
        );
    };
    tokio::select! {
        () = serve(&healthy, &upstream) => unreachable!("it serves for ever"),
        () = broken => {}
    }
    let fired = async |host: &TestHost, but: &str| {
        let selector = format!(
            "ALERTS{{alertstate=\"firing\",instance=\"{}\",alertname!~\"{but}\"}}",
            host.address()
        );
        let all = format!("max_over_time({selector}[1h])");
        prometheus.query(&all).await
    };
    assert_ne!(fired(&guests, "").await.len(), 0);
    let fired = fired(&healthy, OF_THE_MACHINE).await;
    assert_eq!(fired.len(), 0, "{fired:?}");
}

/// A host as it should be: calls that compute and calls that send, and all of them go well. For ever.
async fn serve(host: &TestHost, upstream: &Upstream) {
    host.install_guests(&["echo", "http"]).await;
    let hello = json!({"url": upstream.url("/hello")});
    loop {
        host.call("echo", &json!({"a": 1})).await.expect(200);
        let answer = host.call("http", &hello).await.structured();
        assert_eq!(answer["body"], "hello", "{answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
