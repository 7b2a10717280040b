//! Credentials that come back, which are masked wherever that is seen.

use serde_json::json;

use crate::harness::{Setup, TestHost, Upstream, encoded, pack_with};

const VALUE: &str = "t0ken/of-the+tests=0123";

/// A guest that is granted some of an upstream, with the credential.
async fn install(host: &TestHost, guest: &str, upstream: &Upstream) {
    let origin = upstream.origin();
    let lines = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"POST\"]\n\
         paths = [\"/leak\"]\nwhy = \"A test.\"\ncredential = \"upstream\"\n"
    );
    host.install(&pack_with(guest, &lines)).await;
    let entry = json!({
        "origin": origin, "methods": ["GET", "POST"], "paths": ["/leak"],
        "credential": "upstream",
    });
    let wanted = json!({"grant": {"http": [entry]}});
    let capsule = TestHost::capsule(guest);
    host.grant(&capsule, &wanted).await.expect(200);
}

#[test]
fn what_comes_back_of_a_credential_is_masked() {
    let upstream = Upstream::start();
    Setup::default().run(async |host| {
        let path = "/v1/admin/secrets/upstream?tenant=default";
        let set = host.admin.put(path, &json!({"value": VALUE})).await;
        set.expect(200);
        let secrets = encoded(VALUE);
        let secrets: Vec<&str> = secrets
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(_, secret)| secret.trim_matches('"'))
            .collect();
        assert_eq!(secrets.len(), 6);
        for guest in ["http", "wasi_http", "http_stream"] {
            install(&host, guest, &upstream).await;
            let url = upstream.url("/leak");
            let answer = host.call(guest, &json!({"url": url, "urls": [url]})).await;
            let usage = answer.expect(200)["usage"].clone();
            // Each line, and the field where the guest is shown fields.
            assert!(usage["masked"].as_u64().unwrap() >= 6, "{guest}: {usage}");
            for secret in &secrets {
                assert!(!answer.text.contains(secret), "{guest}: {}", answer.text);
            }
            let body = answer.structured();
            let body = body[0]["body"].as_str().or(body["body"].as_str()).unwrap();
            let stars = "*".repeat(VALUE.len());
            assert!(
                body.starts_with(&format!("raw={stars}\n")),
                "{guest}: {body}"
            );
            assert!(body.ends_with("\nend\n"), "{guest}: {body}");
        }
        // What a guest knows by other ways and says.
        let url = upstream.url(&format!("/items/{VALUE}"));
        let answer = host.call("http", &json!({"url": url})).await;
        assert_eq!(answer.structured()["error"], "denied");
        for secret in &secrets {
            assert!(!answer.text.contains(secret), "{}", answer.text);
            assert!(!host.log().contains(secret), "{}", host.log());
        }
        host.logged("a credential came back").await;
        let audit = host.admin.get("/v1/admin/audit").await;
        audit.status_is(200);
        let metrics = host.admin.get("/metrics").await;
        for secret in &secrets {
            assert!(!audit.text.contains(secret) && !metrics.text.contains(secret));
        }
        let counted = "soma_masked_total{capsule=\"tests/http\",tool=\"run\"}";
        let counted = metrics
            .text
            .lines()
            .find_map(|line| line.strip_prefix(counted));
        let counted: u64 = counted.unwrap().trim().parse().unwrap();
        assert!(counted >= 7, "{counted}");
    });
}
