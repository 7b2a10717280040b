//! Against a real registry, with skopeo as the judge.

use std::fs;

use serde_json::Value;
use soma_capability::Digest;
use soma_registry::oci::{
    Artifact, CONFIG_TYPE, Credentials, LAYER_TYPE, Reference, Referrer, Registry, RegistryError,
    fallback_tag,
};

use super::distribution::{Distribution, skopeo};
use super::{BUNDLE, capsule, refused};

#[tokio::test]
async fn what_is_pushed_is_pulled() {
    let Some(server) = Distribution::start() else {
        return;
    };
    let (package, registry) = (capsule(), Registry::new(None));
    let repository = server.reference("tests/table-canary");

    let bare = registry.push(&package, None, &repository).await.unwrap();
    assert_eq!(bare.reference, repository.with_tag("1.0.0").unwrap());
    let pulled = registry.pull(&bare.reference).await.unwrap();
    assert_eq!(pulled.bundles, Vec::<Vec<u8>>::new());

    // The bundle comes later, and does not change what it is attached to.
    let push = registry.push(&package, Some(BUNDLE), &repository).await;
    assert_eq!(push.unwrap(), bare);
    let pulled = registry.pull(&bare.reference).await.unwrap();
    assert_eq!(pulled.manifest, bare.manifest);
    assert_eq!(pulled.digest, package.digest());
    assert_eq!(pulled.package, package.bytes());
    assert_eq!(pulled.bundles, [BUNDLE]);
    let exact = repository.with_digest(bare.manifest);
    assert_eq!(registry.pull(&exact).await.unwrap(), pulled);

    // Again is nothing new; another one is found beside it.
    let again = registry.push(&package, Some(BUNDLE), &repository).await;
    assert_eq!(again.unwrap(), bare);
    let more = registry.push(&package, Some(b"{}"), &repository).await;
    assert_eq!(more.unwrap(), bare);
    let pulled = registry.pull(&exact).await.unwrap();
    assert_eq!(pulled.bundles, [BUNDLE, b"{}"]);
}

#[tokio::test]
async fn skopeo_fetches_the_same() {
    let Some(server) = Distribution::start() else {
        return;
    };
    let (package, registry) = (capsule(), Registry::new(None));
    let reference = server.reference("tests/table-canary:1.0.0");
    let pushed = registry.push(&package, Some(BUNDLE), &reference).await;
    let pushed = pushed.unwrap();

    let Some((manifest, bytes)) = copy(&reference, package.digest()) else {
        return;
    };
    assert_eq!(Digest::of(&bytes), package.digest());
    assert_eq!(manifest["config"]["mediaType"], CONFIG_TYPE);
    assert_eq!(manifest["layers"][0]["mediaType"], LAYER_TYPE);
    let title = &manifest["annotations"]["org.opencontainers.image.title"];
    assert_eq!(title, "tests/table-canary");

    // The fallback tag leads to the bundle.
    let artifact = Artifact::of(&package).unwrap();
    let referrer = Referrer::of(&artifact, BUNDLE).unwrap();
    let tag = reference.with_tag(&fallback_tag(pushed.manifest)).unwrap();
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &docker(&tag)]).unwrap();
    let index: Value = serde_json::from_slice(&raw.stdout).unwrap();
    let listed = index["manifests"][0]["digest"].as_str().unwrap();
    assert_eq!(listed, referrer.manifest.digest.to_string());
    let exact = reference.with_digest(referrer.manifest.digest);
    let (manifest, bytes) = copy(&exact, referrer.bundle.digest).unwrap();
    assert_eq!(bytes, BUNDLE);
    let subject = manifest["subject"]["digest"].as_str().unwrap();
    assert_eq!(subject, pushed.manifest.to_string());
}

/// The manifest, and the file of this digest, as skopeo has them.
fn copy(reference: &Reference, digest: Digest) -> Option<(Value, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("dir:{}", folder.path().display());
    let from = docker(reference);
    let output = skopeo(&["copy", "--src-tls-verify=false", &from, &to])?;
    assert!(output.status.success(), "{output:?}");
    let manifest = fs::read(folder.path().join("manifest.json")).unwrap();
    let manifest = serde_json::from_slice(&manifest).unwrap();
    let bytes = fs::read(folder.path().join(digest.hex())).unwrap();
    Some((manifest, bytes))
}

fn docker(reference: &Reference) -> String {
    reference.to_string().replacen("oci://", "docker://", 1)
}

#[tokio::test]
async fn changed_content_is_refused() {
    let Some(server) = Distribution::start() else {
        return;
    };
    let (package, registry) = (capsule(), Registry::new(None));
    let reference = server.reference("tests/table-canary:1.0.0");
    let pushed = registry.push(&package, Some(BUNDLE), &reference).await;
    let pushed = pushed.unwrap();
    let artifact = Artifact::of(&package).unwrap();
    let referrer = Referrer::of(&artifact, BUNDLE).unwrap();
    let exact = reference.with_digest(pushed.manifest);

    for (digest, reference) in [
        (package.digest(), &reference),
        (referrer.bundle.digest, &reference),
        (pushed.manifest, &exact),
    ] {
        let file = server.stored(digest);
        let whole = fs::read(&file).unwrap();
        let mut changed = whole.clone();
        // A letter of a JSON string, or the byte before the end of the component's section.
        let at = changed.iter().rposition(u8::is_ascii_lowercase).unwrap();
        changed[at] ^= 2;
        fs::write(&file, changed).unwrap();
        let error = refused(reference).await;
        // The registry itself notices where it reads by a digest, and says 404 or 500.
        let noticed = match &error {
            RegistryError::DigestMismatch { expected, .. } => *expected == digest,
            RegistryError::NotFound { .. } | RegistryError::Refused { .. } => {
                digest == pushed.manifest
            }
            _ => false,
        };
        assert!(noticed, "{digest}: {error}");
        fs::write(&file, whole).unwrap();
    }
    assert!(registry.pull(&reference).await.is_ok());
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_there() {
    let Some(server) = Distribution::start() else {
        return;
    };
    let registry = Registry::new(None);
    let repository = server.reference("tests/table-canary");
    let pushed = registry.push(&capsule(), None, &repository).await.unwrap();
    for missing in [
        repository.with_tag("2.0.0").unwrap(),
        repository.with_digest(Digest::of(b"")),
        server.reference("tests/other:1.0.0"),
    ] {
        let error = refused(&missing).await;
        assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
        assert!(error.to_string().contains(missing.repository()), "{error}");
    }
    let error = refused(&repository).await.to_string();
    assert!(error.contains("Add `:TAG`"), "{error}");
    let exact = repository.with_digest(pushed.manifest);
    let error = registry.push(&capsule(), None, &exact).await.unwrap_err();
    assert!(matches!(error, RegistryError::PushToDigest(_)), "{error}");
    let huge = vec![b' '; (4 << 20) + 1];
    let error = registry.push(&capsule(), Some(&huge), &repository).await;
    let error = error.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_password_opens_what_is_locked() {
    let Some((server, password)) = Distribution::start_locked() else {
        return;
    };
    let (package, reference) = (capsule(), server.reference("tests/locked:1"));
    let wrong = Credentials::new("docker", "no".into());
    for known in [None, Some(wrong)] {
        let registry = Registry::new(known);
        let errors = [
            registry.push(&package, None, &reference).await.unwrap_err(),
            registry.pull(&reference).await.unwrap_err(),
        ];
        for error in errors {
            let unauthorized = matches!(error, RegistryError::Unauthorized { .. });
            assert!(unauthorized, "{error}");
        }
    }
    let right = Credentials::new("docker", password.into());
    let registry = Registry::new(Some(right));
    let pushed = registry.push(&package, Some(BUNDLE), &reference).await;
    let pulled = registry.pull(&pushed.unwrap().reference).await.unwrap();
    assert_eq!(pulled.package, package.bytes());
    assert_eq!(pulled.bundles, [BUNDLE]);
}
