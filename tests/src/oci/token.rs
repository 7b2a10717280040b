//! Registries with a token service, and with storage somewhere else.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use soma_registry::oci::{Credentials, LAYER_TYPE, Registry, RegistryError};

use super::fake::{Answers, Fake};
use super::{BUNDLE, capsule, refused};

fn is_authorized(request: &Request, with: &str) -> bool {
    let found = request.headers().get("authorization");
    found.is_some_and(|found| found == with)
}

fn answer(status: u16, challenge: &str, body: &'static str) -> Response {
    let answer = Response::builder()
        .status(status)
        .header("www-authenticate", challenge);
    answer.body(Body::from(body)).expect("an answer")
}

#[tokio::test]
async fn credentials_buy_a_token_and_go_no_further() {
    let package = capsule();
    let blob = format!("/v2/a/blobs/{}", package.digest());
    let storage = Answers::default().answer("/bucket", 200, &[], package.bytes());
    let storage = Fake::start(storage).await;
    let tokens = Fake::start_with(|request| {
        // me:pw
        if is_authorized(request, "Basic bWU6cHc=") {
            answer(200, "", r#"{"token": "t0k"}"#)
        } else {
            answer(401, "", "")
        }
    })
    .await;
    let bucket = format!("http://{}/bucket", storage.address);
    let answers = Answers::capsule(&package).answer(&blob, 307, &[("location", &bucket)], b"");
    let challenge = format!("Bearer realm=\"http://{}/t\",service=\"s\"", tokens.address);
    let registry = Fake::start_with(move |request| {
        if is_authorized(request, "Bearer t0k") {
            answers.get(request.uri().path())
        } else {
            answer(401, &challenge, "")
        }
    })
    .await;

    let error = refused(&registry.reference()).await;
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("token service answered 401"),
        "{error}"
    );

    let client = Registry::new(Some(Credentials::new("me", "pw".into())));
    let pulled = client.pull(&registry.reference()).await.unwrap();
    assert_eq!(pulled.package, package.bytes());
    assert_eq!(pulled.bundles, [BUNDLE]);
    assert_eq!(
        tokens.seen().last().unwrap(),
        "GET /t?scope=repository%3Aa%3Apull&service=s Basic bWU6cHc="
    );
    assert_eq!(storage.seen(), ["GET /bucket "]);
    assert!(!registry.seen().iter().any(|line| line.contains("Basic")));
}

#[tokio::test]
async fn redirects_do_not_leave_tls() {
    let package = capsule();
    let blob = format!("/v2/a/blobs/{}", package.digest());
    for (location, part) in [
        ("http://192.0.2.1/bucket", "without TLS"),
        ("file:///etc/passwd", "answered 302 Found"),
        ("/v2/a/manifests/1", "the digest is wrong"),
        (&blob, "too often"),
    ] {
        let answers = Answers::capsule(&package);
        let answers = answers.answer(&blob, 302, &[("location", location)], b"");
        let registry = Fake::start(answers).await;
        let error = refused(&registry.reference()).await.to_string();
        assert!(error.contains(part), "{location}: {error}");
    }
    let service = "Bearer realm=\"http://192.0.2.1/token\"";
    let registry = Fake::start_with(|_| answer(401, service, "")).await;
    let error = refused(&registry.reference()).await.to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn the_fallback_tag_is_for_older_registries_alone() {
    let package = capsule();
    let answers = Answers::capsule(&package);
    let registry = Fake::start(answers.clone()).await;
    let pulled = Registry::new(None).pull(&registry.reference()).await;
    assert_eq!(pulled.unwrap().bundles, [BUNDLE]);

    // Another's layer under the same digest is still refused.
    let path = format!("blobs/{}", package.digest());
    let other = answers.content(&path, LAYER_TYPE, &package.bytes()[1..]);
    let registry = Fake::start(other).await;
    let error = refused(&registry.reference()).await;
    let mismatch = matches!(error, RegistryError::DigestMismatch { .. });
    assert!(mismatch, "{error}");
}
