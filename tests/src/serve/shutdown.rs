//! Stopping: calls in flight finish, new ones are not taken, and the grace has an end.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::{Answer, Setup, TestHost, Upstream};

#[test]
fn calls_in_flight_finish() {
    let upstream = Upstream::start();
    Setup::default().allow(&upstream).run(async |mut host| {
        host.install_guests(&["http"]).await;
        let before = upstream.requests();
        let input = json!({"url": upstream.url("/gate")});
        let call = {
            let client = host.invoke.clone();
            let input = input.clone();
            tokio::spawn(async move { client.call("tests/http", "run", &input).await })
        };
        upstream.arrived(before + 1).await;
        host.signal(Signal::TERM);
        host.logged("stopping").await;
        upstream.open_gate(1);
        assert_eq!(call.await.unwrap().structured()["body"], "through");
        assert!(host.ended().await.success(), "{}", host.log());
        assert!(!host.data().join("host.url").exists());
    });
}

/// A call under way whose upstream never answers.
async fn endless_call(host: &TestHost, upstream: &Upstream) -> JoinHandle<reqwest::Result<Answer>> {
    host.install_guests(&["http"]).await;
    let before = upstream.requests();
    let client = host.invoke.clone();
    let input = json!({"url": upstream.url("/never")});
    let call = tokio::spawn(async move {
        client
            .try_post("/v1/capsules/tests/http/tools/run", &input)
            .await
    });
    upstream.arrived(before + 1).await;
    call
}

#[test]
fn the_grace_has_an_end() {
    let upstream = Upstream::start();
    let setup = Setup::default()
        .allow(&upstream)
        .flag("--shutdown-grace", "1");
    setup.run(async |mut host| {
        let call = endless_call(&host, &upstream).await;
        host.signal(Signal::TERM);
        assert!(!host.ended().await.success(), "{}", host.log());
        // Cut off: an error from the connection, never an answer.
        assert!(call.await.unwrap().is_err());
    });
}

#[test]
fn an_interrupt_stops_it_too() {
    Setup::default().run(async |mut host| {
        host.signal(Signal::INT);
        assert!(host.ended().await.success(), "{}", host.log());
    });
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let upstream = Upstream::start();
    // Longer than anybody waits for a test.
    let setup = Setup::default()
        .allow(&upstream)
        .flag("--shutdown-grace", u64::MAX.to_string());
    setup.run(async |mut host| {
        let call = endless_call(&host, &upstream).await;
        host.signal(Signal::TERM);
        host.logged("stopping").await;
        host.signal(Signal::TERM);
        assert!(!host.ended().await.success(), "{}", host.log());
        host.logged("1 calls in flight").await;
        assert!(call.await.unwrap().is_err());
    });
}

#[test]
fn while_it_stops_it_is_not_ready() {
    Setup::default().run(async |mut host| {
        // A request that has begun before the signal, and is whole only after it.
        let mut probe = TcpStream::connect(host.address()).unwrap();
        probe.write_all(b"GET /readyz HTTP/1.1\r\n").unwrap();
        host.invoke.get("/healthz").await.status_is(200);
        host.signal(Signal::TERM);
        host.logged("stopping").await;
        probe.write_all(b"host: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        probe.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer:?}");
        assert!(answer.contains("retry-after: 1"), "{answer:?}");
        assert!(host.ended().await.success(), "{}", host.log());
    });
}
