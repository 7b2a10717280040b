//! TLS by the host itself, and a certificate that is changed under it.

use std::fs;
use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;

use crate::harness::Setup;

/// Writes a new certificate with its key, and gives the certificate.
fn certificate(folder: &Path) -> String {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    // The key first: the host must not see a certificate whose key is yet to come.
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
    cert.pem()
}

/// Connections to whoever shows this certificate, and to nobody else.
fn trusting(certificate: &str) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .build()
        .unwrap()
}

/// Whether the host at this URL shows this certificate.
async fn shows(url: &str, certificate: &str) -> bool {
    let client = trusting(certificate);
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

#[test]
fn https_and_a_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::default()
        .https()
        .flag("--tls-cert", folder.path().join("cert.pem"))
        .flag("--tls-key", folder.path().join("key.pem"));
    setup.run_with(
        || drop(certificate(folder.path())),
        async |host| {
            assert!(host.url.starts_with("https://"), "{}", host.url);
            let first = fs::read_to_string(folder.path().join("cert.pem")).unwrap();
            assert!(shows(&host.url, &first).await);

            let second = certificate(folder.path());
            host.logged("certificate reloaded").await;
            assert!(shows(&host.url, &second).await);
            assert!(!shows(&host.url, &first).await);

            fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
            host.logged("the new certificate is refused").await;
            assert!(shows(&host.url, &second).await);
        },
    );
}

#[test]
fn a_call_over_tls_off_loopback() {
    let folder = tempfile::tempdir().unwrap();
    Setup::default().https().run(async |mut host| {
        host.install_guests(&["echo"]).await;
        let trusted = certificate(folder.path());
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        host.restart_with(&[
            "--listen",
            "0.0.0.0:0",
            "--tls-cert",
            &cert,
            "--tls-key",
            &key,
        ])
        .await;
        let invoke = host.invoke.over(trusting(&trusted));
        let input = json!({"over": "TLS"});
        let answer = invoke.call("tests/echo", "run", &input).await;
        assert_eq!(answer.structured(), input);
        let answer = invoke.with_key("").get("/v1/tools").await;
        answer.problem(401, "unauthorized");
    });
}
