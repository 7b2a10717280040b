//! Stopping: calls in flight finish, new ones are not taken, and the grace has an end.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Setup, Upstream};

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

#[test]
fn the_grace_has_an_end() {
    let upstream = Upstream::start();
    let setup = Setup::default()
        .allow(&upstream)
        .flag("--shutdown-grace", "1");
    setup.run(async |mut host| {
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
        host.signal(Signal::TERM);
        host.ended().await;
        // Cut off: an error from the connection, never an answer.
        assert!(call.await.unwrap().is_err());
    });
}
