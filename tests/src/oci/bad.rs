//! Answers that no registry should give: each is refused in so many words.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};
use soma_registry::oci::{
    Artifact, BUNDLE_TYPE, INDEX_TYPE, MANIFEST_TYPE, Referrer, RegistryError,
};

use super::fake::{Answers, Fake};
use super::{BUNDLE, capsule, refused};

/// What is wrong with a capsule whose manifest is this.
async fn refusal(manifest: &[u8]) -> String {
    let answers = Answers::capsule(&capsule());
    let answers = answers.content("manifests/1", MANIFEST_TYPE, manifest);
    let registry = Fake::start(answers).await;
    refused(&registry.reference()).await.to_string()
}

/// The manifest of a capsule, changed.
async fn refusal_of(change: impl FnOnce(&mut Value)) -> String {
    let artifact = Artifact::of(&capsule()).unwrap();
    let mut manifest = serde_json::from_slice(&artifact.manifest.bytes).unwrap();
    change(&mut manifest);
    refusal(manifest.to_string().as_bytes()).await
}

#[tokio::test]
async fn garbage_is_refused() {
    for garbage in ["", "<html>Welcome!</html>", "{}", "[]", "null", "\0\u{ff}"] {
        let error = refusal(garbage.as_bytes()).await;
        assert!(error.contains("makes no sense"), "{garbage}: {error}");
    }
    let error = refusal("[".repeat(1 << 20).as_bytes()).await;
    assert!(error.contains("makes no sense"), "{error}");
}

#[tokio::test]
async fn other_artifacts_are_not_capsules() {
    let image = "application/vnd.oci.image.config.v1+json";
    let error = refusal_of(|manifest| manifest["config"]["mediaType"] = image.into()).await;
    assert!(error.contains("not a capsule: its config is"), "{error}");
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip\u{1b}[2J";
    let error = refusal_of(|manifest| manifest["layers"][0]["mediaType"] = layer.into()).await;
    assert!(error.contains("not a capsule: its layer is"), "{error}");
    assert!(!error.contains('\u{1b}'), "{error}");
    let error = refusal_of(|manifest| manifest["layers"] = json!([])).await;
    assert!(error.contains("it has 0 layers, not one"), "{error}");
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": []});
    let error = refusal(index.to_string().as_bytes()).await;
    assert!(error.contains("it is an index"), "{error}");
}

#[tokio::test]
async fn nothing_endless_is_read() {
    let size = (64 << 20) + 1;
    let error = refusal_of(|manifest| manifest["layers"][0]["size"] = size.into()).await;
    assert!(error.contains("larger than the 67108864 bytes"), "{error}");
    // More content than the manifest says.
    let error = refusal_of(|manifest| manifest["layers"][0]["size"] = 10.into()).await;
    assert!(error.contains("larger than the 10 bytes"), "{error}");
    let error = refusal(&vec![b' '; (4 << 20) + 1]).await;
    assert!(error.contains("larger than the 4194304 bytes"), "{error}");
    let endless = Fake::start_with(|_| {
        let piece = || Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b' '; 1 << 16]));
        Response::new(Body::from_stream(stream::repeat_with(piece)))
    });
    let error = refused(&endless.await.reference()).await;
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_is_told_if_it_may_be_shown() {
    let told = |message: &str| {
        let errors = json!({"errors": [{"code": "TOOMANYREQUESTS", "message": message}]});
        let answers = Answers::default();
        answers.answer("/v2/a/manifests/1", 429, &[], errors.to_string().as_bytes())
    };
    let registry = Fake::start(told("slow down")).await;
    let error = refused(&registry.reference()).await.to_string();
    assert!(
        error.ends_with("429 Too Many Requests: TOOMANYREQUESTS slow down"),
        "{error}"
    );
    let registry = Fake::start(told("\u{1b}[31mslow")).await;
    let error = refused(&registry.reference()).await.to_string();
    assert!(error.ends_with("429 Too Many Requests"), "{error}");
    let registry = Fake::start_with(|_| {
        let answer = Response::builder().status(401);
        answer.body(Body::empty()).expect("an answer")
    });
    let error = refused(&registry.await.reference()).await.to_string();
    assert!(error.contains("does not say what it wants"), "{error}");
}

#[tokio::test]
async fn a_bundle_belongs_to_its_artifact() {
    let artifact = Artifact::of(&capsule()).unwrap();
    let referrer = Referrer::of(&artifact, BUNDLE).unwrap();
    let whole: Value = serde_json::from_slice(&referrer.manifest.bytes).unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    for (pointer, value, part) in [
        ("/subject/digest", json!(other), "attached to another"),
        ("/subject", Value::Null, "attached to another"),
        ("/layers", json!([]), "exactly one bundle"),
        (
            "/layers/0/mediaType",
            json!("text/plain"),
            "exactly one bundle",
        ),
        ("/layers/0/size", json!(5 << 20), "larger than the 4194304"),
        ("/layers/0/digest", json!(other), "there is none"),
    ] {
        let mut manifest = whole.clone();
        *manifest.pointer_mut(pointer).unwrap() = value;
        let bytes = manifest.to_string().into_bytes();
        let digest = soma_capability::Digest::of(&bytes);
        let list = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": MANIFEST_TYPE,
            "artifactType": BUNDLE_TYPE,
            "digest": digest,
            "size": bytes.len(),
        }]});
        let referrers = format!("referrers/{}", artifact.manifest.digest);
        let answers = Answers::capsule(&capsule())
            .content(&referrers, INDEX_TYPE, list.to_string().as_bytes())
            .content(&format!("manifests/{digest}"), MANIFEST_TYPE, &bytes);
        let registry = Fake::start(answers).await;
        let error = refused(&registry.reference()).await.to_string();
        assert!(error.contains(part), "{pointer}: {error}");
    }
}
