//! Pulling a published capsule as OCI clients do: skopeo, our own client, and bare HTTP.

use std::fs;

use serde_json::Value;
use soma_capability::Digest;
use soma_registry::api::OperatorChange;
use soma_registry::oci::{Artifact, Reference, Registry, fallback_tag};
use soma_registry::{BUNDLE_TYPE, Bundle, Change};

use crate::harness::{TestMarketplace, capsule_name, echo, version};
use crate::oci::skopeo;

#[test]
fn other_clients_pull_what_was_published() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        ada.publish(&package).await.unwrap();
        // The log goes on; what has a digest stays.
        ada.publish(&echo("ada/echo", "1.1.0-rc.1+7").await)
            .await
            .unwrap();
        let host = market.url.strip_prefix("http://").unwrap();
        let artifact = Artifact::of(&package).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let to = format!("dir:{}", folder.path().display());
        let from = format!("docker://{host}/ada/echo:1.0.0");
        if let Some(output) = skopeo(&["copy", "--src-tls-verify=false", &from, &to]) {
            assert!(output.status.success(), "{output:?}");
            let file = fs::read(folder.path().join(package.digest().hex())).unwrap();
            assert_eq!(file, package.bytes());
            let manifest = fs::read(folder.path().join("manifest.json")).unwrap();
            assert_eq!(manifest, artifact.manifest.bytes);
            let list = ["list-tags", "--tls-verify=false"];
            let repository = format!("docker://{host}/ada/echo");
            let listed = skopeo(&[list.as_slice(), &[&repository]].concat()).unwrap();
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            assert_eq!(listed["Tags"][1], "1.1.0-rc.1_7", "{listed}");
        }

        for tag in ["1.0.0", "1.1.0-rc.1_7"] {
            let reference: Reference = format!("oci://{host}/ada/echo:{tag}").parse().unwrap();
            let pulled = Registry::new(None).pull(&reference).await.unwrap();
            let [bundle] = pulled.bundles.as_slice() else {
                panic!("one bundle, not {}", pulled.bundles.len());
            };
            let bundle: Bundle = serde_json::from_slice(bundle).unwrap();
            let package = soma_registry::Package::read(pulled.package).unwrap();
            bundle.prove(&package, &market.key).unwrap();
            let exact = reference.with_digest(pulled.manifest);
            let again = Registry::new(None).pull(&exact).await.unwrap();
            assert_eq!(again.digest, package.digest());
        }
    });
}

/// What bare HTTP gets: status, headers as text, body.
async fn get(market: &TestMarketplace, path: &str) -> (u16, reqwest::header::HeaderMap, Value) {
    let response = reqwest::get(format!("{}{path}", market.url)).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (status, headers, body)
}

#[test]
fn answers_are_the_specification_s() {
    TestMarketplace::run_operated(&[], async |market, root| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        ada.publish(&package).await.unwrap();
        ada.publish(&echo("ada/echo", "1.1.0").await).await.unwrap();
        ada.publish(&echo("ada/echo", "1.2.0").await).await.unwrap();
        let artifact = Artifact::of(&package).unwrap();
        let (manifest, layer) = (artifact.manifest.digest, package.digest());

        let (status, headers, _) = get(&market, "/v2/").await;
        assert_eq!(status, 200);
        let spoken = &headers["docker-distribution-api-version"];
        assert_eq!(spoken, "registry/2.0");

        let head = reqwest::Client::new().head(format!("{}/v2/ada/echo/blobs/{layer}", market.url));
        let head = head.send().await.unwrap();
        assert_eq!(head.headers()["docker-content-digest"], layer.to_string());
        let length = package.bytes().len().to_string();
        assert_eq!(head.headers()["content-length"], length);
        assert_eq!(head.bytes().await.unwrap().len(), 0);

        let list = "/v2/ada/echo/tags/list";
        let (_, headers, first) = get(&market, &format!("{list}?n=2")).await;
        assert_eq!(first["tags"], serde_json::json!(["1.0.0", "1.1.0"]));
        let next = headers["link"].to_str().unwrap();
        let next = next.trim_start_matches('<').split_once('>').unwrap().0;
        let (_, headers, rest) = get(&market, next).await;
        assert_eq!(rest["tags"], serde_json::json!(["1.2.0"]));
        assert!(!headers.contains_key("link"));

        let attached = format!("/v2/ada/echo/referrers/{manifest}");
        let (_, _, index) = get(&market, &attached).await;
        assert_eq!(index["manifests"][0]["artifactType"], BUNDLE_TYPE);
        let tag = fallback_tag(manifest);
        let (_, headers, same) = get(&market, &format!("/v2/ada/echo/manifests/{tag}")).await;
        assert_eq!(same, index);
        let digest = headers["docker-content-digest"].to_str().unwrap();
        let by_digest = format!("/v2/ada/echo/manifests/{digest}");
        assert_eq!(get(&market, &by_digest).await.2, index);
        let (_, headers, none) = get(&market, &format!("{attached}?artifactType=a/b")).await;
        assert_eq!(none["manifests"], serde_json::json!([]));
        assert_eq!(headers["oci-filters-applied"], "artifactType");

        // A yanked version stays for whoever names it; a revoked one is not handed out.
        let (capsule, one) = (capsule_name("ada/echo"), version("1.1.0"));
        let yank = Change::Yank {
            capsule: capsule.clone(),
            version: one.clone(),
        };
        ada.change(yank, &[&ada.key]).await.unwrap();
        let revoke = OperatorChange::Revoke {
            capsule,
            version: version("1.0.0"),
            reason: "It reads mail.".to_owned(),
        };
        root.market.operate(&revoke).await.unwrap();
        let (_, _, tags) = get(&market, list).await;
        assert_eq!(tags["tags"], serde_json::json!(["1.2.0"]));
        assert_eq!(get(&market, "/v2/ada/echo/manifests/1.1.0").await.0, 200);
        for reference in ["1.0.0".to_owned(), manifest.to_string()] {
            let path = format!("/v2/ada/echo/manifests/{reference}");
            let (status, _, refused) = get(&market, &path).await;
            assert_eq!(
                (status, &refused["errors"][0]["code"]),
                (403, &"DENIED".into())
            );
            let words = refused["errors"][0]["message"].as_str().unwrap();
            assert!(words.contains("It reads mail."), "{words}");
        }
    });
}

#[test]
fn malformed_requests_get_a_specific_refusal() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        let long = "a".repeat(10_000);
        let unknown = Digest::of(b"unknown");
        let refused = [
            (
                400,
                "NAME_INVALID",
                "/v2/Ada/echo/manifests/1.0.0".to_owned(),
            ),
            (
                400,
                "NAME_INVALID",
                "/v2/ada/..%2fecho/tags/list".to_owned(),
            ),
            (400, "NAME_INVALID", "/v2/ada/%ff/tags/list".to_owned()),
            (400, "NAME_INVALID", format!("/v2/{long}/echo/tags/list")),
            (404, "NAME_INVALID", "/v2/ada/manifests/1.0.0".to_owned()),
            (404, "NAME_INVALID", "/v2/_catalog".to_owned()),
            (404, "NAME_UNKNOWN", "/v2/ada/other/tags/list".to_owned()),
            (
                404,
                "MANIFEST_UNKNOWN",
                "/v2/ada/other/manifests/1.0.0".to_owned(),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                "/v2/ada/echo/manifests/latest".to_owned(),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                format!("/v2/ada/echo/manifests/{long}"),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                format!("/v2/ada/echo/manifests/{unknown}"),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                format!("/v2/ada/echo/manifests/sha256-{}", unknown.hex()),
            ),
            (
                404,
                "MANIFEST_UNKNOWN",
                "/v2/ada/echo/manifests/sha256-zz".to_owned(),
            ),
            (404, "BLOB_UNKNOWN", format!("/v2/ada/echo/blobs/{unknown}")),
            (
                400,
                "DIGEST_INVALID",
                "/v2/ada/echo/blobs/sha256:ABC".to_owned(),
            ),
            (
                400,
                "DIGEST_INVALID",
                "/v2/ada/echo/blobs/md5:00".to_owned(),
            ),
            (
                400,
                "DIGEST_INVALID",
                "/v2/ada/echo/referrers/1.0.0".to_owned(),
            ),
            (400, "UNSUPPORTED", "/v2/ada/echo/tags/list?n=-1".to_owned()),
        ];
        for (status, code, path) in refused {
            let (found, _, body) = get(&market, &path).await;
            let path = &path[..path.len().min(80)];
            assert_eq!(
                (found, &body["errors"][0]["code"]),
                (status, &code.into()),
                "{path}"
            );
        }
        let client = reqwest::Client::new();
        for (method, path) in [
            (reqwest::Method::POST, "/v2/ada/echo/blobs/uploads"),
            (reqwest::Method::PUT, "/v2/ada/echo/manifests/2.0.0"),
            (reqwest::Method::DELETE, "/v2/ada/echo/manifests/1.0.0"),
        ] {
            let request = client.request(method, format!("{}{path}", market.url));
            let response = request.body("{}").send().await.unwrap();
            assert_eq!(response.status().as_u16(), 405, "{path}");
            let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
            assert_eq!(body["errors"][0]["code"], "UNSUPPORTED", "{path}");
        }
    });
}
