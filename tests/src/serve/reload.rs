//! SIGHUP: a good configuration holds from then on, a bad one never.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Setup, Upstream};

#[test]
fn a_good_one_holds_and_a_bad_one_does_not() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soma.toml");
    let allow = format!("allow-http = [\"{}\"]\n", upstream.origin());
    Setup::default().flag("--config", &file).run_with(
        || fs::write(&file, "").unwrap(),
        async |host| {
            host.install_guests(&["http"]).await;
            let input = json!({"url": upstream.url("/hello")});
            let ask = async || host.call("http", &input).await.structured();
            assert_eq!(ask().await["error"], "denied");

            fs::write(&file, &allow).unwrap();
            host.signal(Signal::HUP);
            let said = host.logged("configuration reloaded").await;
            assert!(said.contains("changed: allow-http"), "{said}");
            assert!(!said.contains(&upstream.origin()), "{said}");
            assert_eq!(ask().await["body"], "hello");
            host.signal(Signal::HUP);
            host.logged("reloaded, nothing changed").await;

            fs::write(&file, "allow-http = [\"not an origin\"]").unwrap();
            host.signal(Signal::HUP);
            host.logged("the new configuration is refused").await;
            assert_eq!(ask().await["body"], "hello");

            fs::write(&file, format!("{allow}log-format = \"json\"\n")).unwrap();
            host.signal(Signal::HUP);
            let said = host.logged("until the next start").await;
            assert!(said.contains("log-format"), "{said}");
            assert!(said.contains("nothing changed"), "{said}");
            assert_eq!(ask().await["body"], "hello");

            // Whoever keeps leases for as long as a call may take was told so at the start.
            let longer = "[maximum-limits]\ntime-ms = 99999999\n";
            fs::write(&file, format!("{allow}{longer}")).unwrap();
            host.signal(Signal::HUP);
            let said = host.logged("maximum-limits.time-ms").await;
            assert!(said.contains("until the next start"), "{said}");
        },
    );
}

#[test]
fn limits_and_concurrency_hold_from_then_on() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("soma.toml");
    let setup = Setup::default().allow(&upstream).flag("--config", &file);
    setup.run_with(
        || fs::write(&file, "concurrent-calls = 2\nwaiting-calls = 0\n").unwrap(),
        async |host| {
            host.install_guests(&["http", "echo"]).await;
            host.call("echo", &json!({})).await.expect(200);
            let lower = "concurrent-calls = 1\nwaiting-calls = 0\n";
            let limits = "[maximum-limits]\nfuel = 5\n";
            fs::write(&file, format!("{lower}{limits}")).unwrap();
            host.signal(Signal::HUP);
            host.logged("configuration reloaded").await;
            host.call("echo", &json!({}))
                .await
                .problem(424, "out-of-fuel");

            fs::write(&file, lower).unwrap();
            host.signal(Signal::HUP);
            while host.call("echo", &json!({})).await.status != 200 {
                tokio::task::yield_now().await;
            }
            let before = upstream.requests();
            let input = json!({"url": upstream.url("/gate")});
            let refused = async {
                upstream.arrived(before + 1).await;
                let answer = host.call("echo", &json!({})).await;
                answer.problem(503, "overloaded");
                upstream.open_gate(1);
            };
            let (call, ()) = tokio::join!(host.call("http", &input), refused);
            assert_eq!(call.structured()["body"], "through");
        },
    );
}
