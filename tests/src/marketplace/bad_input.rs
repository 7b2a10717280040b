//! What is wrong is refused with a problem of its own, leaves nothing, and the service goes on.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt as _;
use serde_json::Value;
use soma_registry::api::Published;
use soma_registry::client::ClientError;
use soma_registry::{Change, Package, SecretKey, Statement};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::harness::{
    Author, Offer, TestMarketplace, as_capsule, capsule_name, component, echo, pack, problem,
    version,
};

/// Sends an offer that must be refused, and gives what the marketplace says.
async fn refused(author: &Author, offer: Offer, code: &str) -> String {
    problem::<Published>(author.send(offer).await, code)
}

#[test]
fn tampered_offers_are_refused_and_leave_nothing() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let eve = SecretKey::generate().unwrap();
        let package = echo("ada/echo", "1.0.0").await;
        let other = echo("ada/echo", "1.1.0").await;
        let offer = || ada.offer(&package);
        let size = package.bytes().len();

        // A byte of the code, and one of the manifest.
        for at in [size / 2, size - 40] {
            let mut tampered = offer();
            tampered.file[at] ^= 1;
            let sent = ada.send(tampered).await;
            let code = sent.as_ref().err().and_then(ClientError::code);
            assert!(
                matches!(code, Some("bad-request" | "invalid-capsule")),
                "{sent:?}"
            );
        }
        let mut envelope = offer();
        envelope.change.payload.replace_range(10..11, "A");
        refused(&ada, envelope, "invalid-signature").await;
        let mut envelope = offer();
        envelope.statement.payload.replace_range(40..41, "A");
        let sent = ada.send(envelope).await;
        assert_eq!(sent.unwrap_err().code(), Some("invalid-signature"));

        let mut crowded = offer();
        let more = crowded.statement.signatures[0].clone();
        crowded.statement.signatures.push(more);
        let words = refused(&ada, crowded, "invalid-signature").await;
        assert!(words.contains("has 2 signatures"), "{words}");
        // Whatever `keyid` has besides would be kept and served for ever.
        let mut long = offer();
        long.statement.signatures[0].keyid = Some("k".repeat(1 << 20));
        let words = refused(&ada, long, "invalid-signature").await;
        assert!(words.contains("`keyid` must be"), "{words}");
        let mut by_another = offer();
        by_another.statement = Statement::about(&package).sign(&eve).unwrap();
        refused(&ada, by_another, "invalid-signature").await;
        let mut by_another = offer();
        let change = publish_change(&package);
        by_another.change = ada.sign(change.clone(), &[&eve]);
        refused(&ada, by_another, "not-allowed").await;
        // The old statement under a new version, and the old change.
        let mut old = ada.offer(&other);
        old.statement = offer().statement;
        refused(&ada, old, "invalid-signature").await;
        let mut old = ada.offer(&other);
        old.change = offer().change;
        refused(&ada, old, "bad-request").await;
        let mut not_one = offer();
        let yank = Change::Yank {
            capsule: capsule_name("ada/echo"),
            version: version("1.0.0"),
        };
        not_one.change = ada.sign(yank, &[&ada.key]);
        refused(&ada, not_one, "bad-request").await;

        problem(
            market.client().package(&capsule_name("ada/echo")).await,
            "not-found",
        );
        assert_eq!(market.client().checkpoint().await.unwrap().size(), 1);
        ada.publish(&package).await.unwrap();
    });
}

#[test]
fn a_form_without_an_end_is_cut_off() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        // Neither of these belongs to a part whose length somebody would look at.
        for begin in [
            "",
            "--x\r\nx-h: ",
            "--x\r\ncontent-disposition: form-data; name=\"",
        ] {
            let piece = bytes::Bytes::from(vec![b'a'; 1 << 20]);
            let taken = Arc::new(AtomicUsize::new(0));
            let counter = taken.clone();
            let pieces = (0..200).map(move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ErrorKind>(piece.clone())
            });
            let begin = Ok(bytes::Bytes::from(begin));
            let body = futures::stream::iter(std::iter::once(begin).chain(pieces));
            let sent = reqwest::Client::new()
                .post(format!("{}/v1/publish", market.url))
                .bearer_auth(&ada.token)
                .header("content-type", "multipart/form-data; boundary=x")
                .body(reqwest::Body::wrap_stream(
                    body.map_err(std::io::Error::from),
                ))
                .send()
                .await;
            // Where it does not read on, it may end the connection before its answer is seen.
            if let Ok(answer) = sent {
                assert!([400, 413].contains(&answer.status().as_u16()), "{answer:?}");
            }
            let taken = taken.load(Ordering::Relaxed);
            assert!((1..200).contains(&taken), "{taken} MiB were taken");
        }
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
    });
}

#[test]
fn who_sends_slowly_keeps_nobody_else_out() {
    TestMarketplace::run_with(&["--publications", "1"], async |market| {
        let (ada, eve) = (market.publisher("ada").await, market.author("eve").await);
        let address = market.url.strip_prefix("http://").unwrap();
        let address = address.trim_end_matches('/');
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "POST /v1/publish HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 900000\r\n\r\n\
                 --x\r\nContent-Disposition: form-data; name=\"capsule\"\r\n\r\nslow",
                eve.token
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        ada.publish(&echo("ada/echo", "1.0.0").await).await.unwrap();
        // They are still being listened to: none has been turned away.
        for stream in &mut slow {
            let mut answer = [0; 1];
            let read = stream.try_read(&mut answer);
            assert!(read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        }
    });
}

fn publish_change(package: &Package) -> Change {
    Change::Publish {
        capsule: package.manifest().name.clone(),
        version: package.manifest().version.clone(),
        digest: package.digest(),
        statement: Statement::about(package).digest().unwrap(),
    }
}

#[test]
fn a_describe_that_lies_loops_or_traps_is_refused() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        // `pack` writes one made-up tool, whatever the component would say.
        let lies = pack(&component("describe_lies"), "ada/lies", "");
        let detail = refused(&ada, ada.offer(&lies), "invalid-tools").await;
        assert!(detail.contains("other tools"), "{detail}");
        for (guest, part) in [("describe_loop", "fuel"), ("describe_trap", "trapped")] {
            let package = pack(&component(guest), "ada/guest", "");
            let detail = refused(&ada, ada.offer(&package), "invalid-tools").await;
            assert!(detail.contains(part), "{guest}: {detail}");
        }
        // What would differ from run to run has nothing to differ by: no time, no random, no network.
        let honest = as_capsule("describe_lies", "ada/honest", "1.0.0").await;
        ada.publish(&honest).await.unwrap();
    });
}

/// A form whose capsule has this many bytes of zeros, sent as they are made.
async fn endless(market: &TestMarketplace, token: &str, offer: &Offer, bytes: usize) -> Value {
    let piece = bytes::Bytes::from(vec![0; 1 << 20]);
    let pieces = vec![piece; bytes >> 20].into_iter();
    let pieces = futures::stream::iter(pieces.map(Ok::<_, std::io::Error>));
    let form = reqwest::multipart::Form::new()
        .text(
            "statement",
            serde_json::to_string(&offer.statement).unwrap(),
        )
        .text("change", serde_json::to_string(&offer.change).unwrap())
        .part(
            "capsule",
            reqwest::multipart::Part::stream(reqwest::Body::wrap_stream(pieces)),
        );
    let sent = reqwest::Client::new()
        .post(format!("{}/v1/publish", market.url))
        .bearer_auth(token)
        .multipart(form)
        .send()
        .await;
    match sent {
        Ok(response) => response.json().await.unwrap(),
        // It may hang up on who does not stop sending.
        Err(error) => Value::String(error.to_string()),
    }
}

#[test]
fn what_is_too_large_is_refused_while_it_arrives() {
    TestMarketplace::run(async |market| {
        let ada = market.publisher("ada").await;
        let package = echo("ada/echo", "1.0.0").await;
        let account = ada.account.clone();
        let token = market
            .client()
            .login(&account, &ada.key)
            .await
            .unwrap()
            .token;
        let said = endless(&market, &token, &ada.offer(&package), 1 << 30).await;
        let refused = said["type"] == "urn:soma:problem:too-large" || said.is_string();
        assert!(refused, "{said}");
        // A custom section of 60 MiB is within the bound of a file, and not of a manifest section.
        let mut file = component("echo");
        let section = soma_registry::SECTION;
        let length = section.len() + 1 + (60 << 20);
        file.push(0);
        leb128(&mut file, length);
        leb128(&mut file, section.len());
        file.extend(section.bytes());
        file.resize(file.len() + (60 << 20), b'x');
        let offer = Offer {
            file,
            ..ada.offer(&package)
        };
        let sent = ada.send(offer).await;
        assert_eq!(sent.unwrap_err().code(), Some("invalid-capsule"));
        ada.publish(&package).await.unwrap();
    });
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn malformed_requests_get_a_problem_and_the_service_goes_on() {
    TestMarketplace::run(async |market| {
        let http = reqwest::Client::new();
        let long = "a".repeat(10_000);
        for path in [
            "/v1/packages/../../etc/passwd".to_owned(),
            "/v1/packages/%2e%2e%2f%2e%2e/passwd".to_owned(),
            "/v1/packages/ada/%00".to_owned(),
            "/v1/packages/аda/echo".to_owned(),
            "/v1/packages/Ada/echo".to_owned(),
            "/v1/packages/a_b/echo".to_owned(),
            format!("/v1/packages/{long}/echo"),
            "/v1/packages/ada/echo/not-a-version".to_owned(),
            "/v1/packages/ada/echo/1.0.0/../../..".to_owned(),
            "/v1/namespaces/%20".to_owned(),
            "/log/tile/0/../../../etc/passwd".to_owned(),
            "/log/tile/entries/x999/x999/x999/x999/x999/x999/999".to_owned(),
            "/v1/nothing".to_owned(),
        ] {
            let response = http
                .get(format!("{}{path}", market.url))
                .send()
                .await
                .unwrap();
            let status = response.status();
            assert!(status.is_client_error(), "{path}: {status}");
            let problem: Value = response.json().await.unwrap();
            assert!(
                problem["type"].is_string() && problem["detail"].is_string(),
                "{problem}"
            );
        }
        let ada = market.author("ada").await;
        let account = ada.account.clone();
        let token = market
            .client()
            .login(&account, &ada.key)
            .await
            .unwrap()
            .token;
        for (path, kind, body, status) in [
            ("/v1/changes", "application/json", "{", 400),
            ("/v1/changes", "application/json", "[]", 400),
            ("/v1/changes", "text/plain", "{}", 415),
            (
                "/v1/changes",
                "application/json",
                r#"{"payload":"","payloadType":"","signatures":[]}"#,
                422,
            ),
            ("/v1/publish", "application/json", "{}", 415),
            (
                "/v1/publish",
                "multipart/form-data; boundary=x",
                "--x\r\n",
                400,
            ),
            (
                "/v1/publish",
                "multipart/form-data; boundary=x",
                "--x--\r\n",
                400,
            ),
            ("/v1/tokens", "application/json", r#"{"name":"x"}"#, 400),
            ("/v1/login", "application/json", "nul", 400),
        ] {
            let response = http
                .post(format!("{}{path}", market.url))
                .bearer_auth(&token)
                .header("content-type", kind)
                .body(body)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), status, "{path} {body}");
            let problem: Value = response.json().await.unwrap();
            assert_eq!(problem["status"], status);
        }
        // A little that would become much is not unpacked.
        let request = http.post(format!("{}/v1/changes", market.url));
        let request = request.header("content-type", "application/json");
        let request = request
            .header("content-encoding", "gzip")
            .body(vec![0; 1000]);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 415);
        let problem: Value = response.json().await.unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Content-Encoding"), "{detail}");
        for header in ["Bearer", "Basic x", "Bearer smt_x", "Bearer \u{7f}"] {
            let request = http.get(format!("{}/v1/tokens", market.url));
            let sent = request.header("authorization", header).send().await;
            if let Ok(response) = sent {
                assert_eq!(response.status(), 401, "{header}");
            }
        }
        assert!(
            http.get(format!("{}/readyz", market.url))
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    });
}

#[test]
fn who_asks_for_too_much_is_told_to_wait() {
    TestMarketplace::run_with(&["--rate", "20"], async |market| {
        let client = market.client();
        let mut refused = None;
        for _ in 0..30 {
            if let Err(error) = client.challenge().await {
                refused = Some(error);
                break;
            }
        }
        assert_eq!(refused.unwrap().code(), Some("rate-limited"));
        // Looking things up goes on.
        client.checkpoint().await.unwrap();
    });
}
