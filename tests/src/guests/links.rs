//! Links that a guest gives away, opened by somebody without a credential at a server that checks them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{S3, Setup, TestHost, pack_with};

const CAPSULE: &str = "tests/links";

fn asking(origin: &str) -> String {
    format!(
        "[[capabilities.links]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"PUT\"]\n\
         paths = [\"/capsules/shared/**\"]\ncredential = \"store\"\nwhy = \"A test.\"\n"
    )
}

async fn grant(host: &TestHost, origin: &str, methods: &[&str]) {
    let entry = json!({
        "origin": origin, "methods": methods, "paths": ["/capsules/**"], "credential": "store"
    });
    let wanted = json!({"grant": {"links": [entry]}});
    host.grant(CAPSULE, &wanted).await.expect(200);
}

async fn set(host: &TestHost, value: &str, how: Value) {
    let secret = json!({"value": value, "as": how});
    let set = host.admin.put("/v1/admin/secrets/store", &secret).await;
    set.expect(200);
}

async fn link(host: &TestHost, method: &str, url: &str, seconds: u64) -> Result<String, String> {
    let input = json!({"method": method, "url": url, "seconds": seconds});
    let answer = host.call("links", &input).await;
    if answer.status == 200 {
        return Ok(answer.structured().as_str().unwrap().to_owned());
    }
    Err(answer.json()["detail"].as_str().unwrap().to_owned())
}

#[test]
pub(super) fn links() {
    let Some(s3) = S3::start() else { return };
    Setup::default().run(async |host| {
        let origin = s3.endpoint();
        host.install(&pack_with("links", &asking(origin))).await;
        let how = json!({
            "kind": "sigv4", "access_key_id": "tests", "region": "us-east-1", "service": "s3"
        });
        set(&host, s3.secret(), how).await;
        let url = format!("{origin}/capsules/shared/a%20b.txt");
        let denied = link(&host, "GET", &url, 60).await.unwrap_err();
        assert!(denied.contains("no grant covers links to GET"), "{denied}");
        grant(&host, origin, &["GET"]).await;
        let denied = link(&host, "PUT", &url, 60).await.unwrap_err();
        assert!(denied.contains("no grant covers links to PUT"), "{denied}");
        grant(&host, origin, &["GET", "PUT"]).await;
        let other = format!("{origin}/capsules/other.txt");
        let denied = link(&host, "GET", &other, 60).await.unwrap_err();
        assert!(denied.contains("does not ask for links to GET"), "{denied}");

        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let status = async |request: reqwest::RequestBuilder| {
            request.send().await.unwrap().status().as_u16()
        };
        let put = link(&host, "PUT", &url, 60).await.unwrap();
        assert!(!put.contains(s3.secret()), "{put}");
        assert_eq!(status(http.put(&put).body("shared")).await, 200);
        let get = link(&host, "GET", &url, 60).await.unwrap();
        let shared = http.get(&get).send().await.unwrap();
        assert_eq!(shared.text().await.unwrap(), "shared");
        // It is a link to this and nothing else.
        for other in [
            http.delete(&get),
            http.put(&get).body("x"),
            http.get(get.replace("a%20b", "a%20c")),
            http.get(get.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
            http.get(&url),
        ] {
            assert_eq!(status(other).await, 403);
        }
        let soon = link(&host, "GET", &url, 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(status(http.get(soon)).await, 403);

        for (method, url, seconds, part) in [
            ("GET", url.clone(), 0, "1 to 900 seconds"),
            ("GET", url.clone(), 901, "1 to 900 seconds"),
            (
                "GET",
                format!("{url}?X-Amz-Expires=9999"),
                60,
                "the operator's credential",
            ),
            (
                "GET",
                format!("{origin}/capsules/shared/../other.txt"),
                60,
                "does not ask",
            ),
            ("CONNECT", url.clone(), 60, "CONNECT"),
            ("GET", "file:///etc/passwd".to_owned(), 60, "http and https"),
        ] {
            let refused = link(&host, method, &url, seconds).await.unwrap_err();
            assert!(refused.contains(part), "{url}: {refused}");
        }
        let audit = host.admin.get("/v1/admin/audit?kind=call").await;
        assert!(!audit.text.contains("X-Amz-Signature"), "{}", audit.text);
        let records = audit.expect(200)["records"].clone();
        let mut made = records.as_array().unwrap().iter().rev();
        let made = made.find(|it| it["egress"][0]["link_seconds"] == 60);
        assert_eq!(
            made.unwrap()["egress"][0]["path"],
            "/capsules/shared/a%20b.txt"
        );
    });
}

#[test]
fn what_a_link_would_show_is_not_made() {
    Setup::default().run(async |host| {
        let origin = "https://s3.test";
        host.install(&pack_with("links", &asking(origin))).await;
        grant(&host, origin, &["GET"]).await;
        let url = format!("{origin}/capsules/shared/a");
        let missing = link(&host, "GET", &url, 60).await.unwrap_err();
        assert!(
            missing.contains("the credential `store` is not to be had"),
            "{missing}"
        );
        set(&host, "a-bearers-token", json!({"kind": "bearer"})).await;
        let refused = link(&host, "GET", &url, 60).await.unwrap_err();
        assert!(refused.contains("signs no requests"), "{refused}");
        let how = json!({
            "kind": "sigv4", "access_key_id": "tests", "region": "us-east-1", "service": "s3"
        });
        set(&host, "a-secret\na-token-of-a-session", how).await;
        let refused = link(&host, "GET", &url, 60).await.unwrap_err();
        assert!(
            refused.contains("the token of the credential's session"),
            "{refused}"
        );
    });
    // A manifest that names no credential for them is none.
    let lines = asking("https://s3.test").replace("credential = \"store\"\n", "");
    let manifest =
        format!("name = \"tests/links\"\nversion = \"0.1.0\"\ndescription = \"A test.\"\n{lines}");
    let error = soma_registry::Manifest::from_toml(&manifest)
        .unwrap_err()
        .to_string();
    assert!(error.contains("names the credential"), "{error}");
}
