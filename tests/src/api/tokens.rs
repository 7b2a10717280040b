//! Credentials that are not shown themselves: exchanged for tokens, or what requests are signed with.
//! Who checks them is somebody else's: an authorization server, and an S3 server.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::cli::{Said, fed};
use crate::harness::{Oidc, S3, Setup, TestHost, command, pack_with};

/// A guest that may send anything to this server, with the credential `c`.
async fn install(host: &TestHost, guest: &str, origin: &str) {
    let entry = json!({
        "origin": origin, "methods": ["GET", "POST", "PUT"], "paths": ["/**"], "credential": "c",
    });
    let lines = format!(
        "[[capabilities.http]]\norigin = \"{origin}\"\nmethods = [\"GET\", \"POST\", \"PUT\"]\n\
         paths = [\"/**\"]\ncredential = \"c\"\nwhy = \"A test.\""
    );
    host.install(&pack_with(guest, &lines)).await;
    let wanted = json!({"grant": {"http": [entry]}});
    host.grant(&TestHost::capsule(guest), &wanted)
        .await
        .expect(200);
}

async fn ask(host: &TestHost, input: Value) -> Value {
    host.call("http", &input).await.structured()
}

/// `soma secret set c` of this value.
fn set(host: &TestHost, how: &[&str], value: &str) -> Said {
    let mut soma = command(&host.data());
    soma.args(["secret", "set", "c"]).args(how);
    fed(&mut soma, value)
}

/// What the server says of whose token it was shown.
async fn resource(host: &TestHost, oidc: &Oidc) -> Value {
    let url = format!("{}/resource", oidc.issuer);
    let answer = ask(host, json!({ "url": url })).await;
    assert_eq!(answer["status"], 200, "{answer}\n{}", host.log());
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

#[test]
fn a_clients_secret_is_exchanged_for_tokens() {
    let Some(oidc) = Oidc::start(3) else { return };
    Setup::default().run(async |host| {
        install(&host, "http", &oidc.issuer).await;
        let token_url = format!("{}/token", oidc.issuer);
        let how = [
            "--oauth",
            &token_url,
            "--client-id",
            "machine",
            "--scope",
            "api",
        ];
        let said = set(&host, &how, "a-wrong-secret-of-the-tests\n").exits(2);
        assert!(said.err.contains("invalid_client"), "{}", said.err);
        assert!(!said.err.contains("a-wrong-secret"), "{}", said.err);
        let said = set(&host, &how, "machine-secret-of-the-tests\n").exits(0);
        assert!(
            said.out.contains("token of the client machine"),
            "{}",
            said.out
        );

        assert_eq!(resource(&host, &oidc).await["client"], "machine");
        // The first token has ended by then.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let all = join_all((0..10).map(|_| resource(&host, &oidc))).await;
        assert!(
            all.iter().all(|seen| seen["client"] == "machine"),
            "{all:?}"
        );
        // The guest sees neither the secret nor what it was exchanged for.
        let echoed = format!("{:?}{}", all, host.log());
        assert!(!echoed.contains("machine-secret-of-the-tests"), "{echoed}");

        // It never goes where somebody could read it on the way, and half a client is none.
        for (wrong, part) in [
            (
                [
                    "--oauth",
                    "http://example.com/token",
                    "--client-id",
                    "machine",
                ],
                "https only",
            ),
            (
                ["--oauth", &token_url, "--client-id", ""],
                "a client has an id",
            ),
            (["--oauth", &token_url, "--scope", "api"], "--client-id"),
        ] {
            let said = set(&host, &wrong, "value\n");
            assert!(said.code != 0 && said.err.contains(part), "{}", said.err);
        }
        assert_eq!(resource(&host, &oidc).await["client"], "machine");
    });
}

#[test]
fn an_issuer_that_is_away_keeps_requests_and_not_calls() {
    Setup::default().run(async |host| {
        let Some(oidc) = Oidc::start(3) else { return };
        let origin = oidc.issuer.clone();
        install(&host, "http", &origin).await;
        let token_url = format!("{origin}/token");
        let how = [
            "--oauth",
            &token_url,
            "--client-id",
            "machine",
            "--scope",
            "api",
        ];
        set(&host, &how, "machine-secret-of-the-tests\n").exits(0);
        drop(oidc);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let answer = ask(&host, json!({"url": format!("{origin}/resource")})).await;
        assert_eq!(answer["error"], "denied", "{answer}");
        let line = host.logged("a credential is not exchanged").await;
        assert!(line.contains("the issuer cannot be asked"), "{line}");
    });
}

/// What a browser would show.
fn browse(arguments: &[&str]) -> String {
    // With cookies, even where nobody keeps them.
    let came = Command::new("curl")
        .args(["-sS", "--max-time", "30", "-b", ""])
        .args(arguments)
        .output()
        .expect("curl");
    String::from_utf8_lossy(&came.stdout).into_owned()
}

/// `soma secret login c`, while somebody does what it says to do. Gives what it said besides.
fn log_in(host: &TestHost, oidc: &Oidc, how: &[&str], act: impl FnOnce(&str)) -> String {
    let mut login = command(&host.data());
    login.args(["secret", "login", "c", "--issuer", &oidc.issuer]);
    login.args(["--client-id", "person", "--scope", "openid"]);
    login.args(["--scope", "offline_access", "--scope", "api"]);
    let mut login = login
        .args(how)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(login.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let (_, what) = line.split_once("open ").unwrap_or_else(|| panic!("{line}"));
    act(what.trim());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(login.wait().unwrap().success(), "{rest}");
    rest
}

#[test]
fn a_person_logs_in_with_a_browser() {
    let Some(oidc) = Oidc::start(3) else { return };
    Setup::default().run(async |host| {
        install(&host, "http", &oidc.issuer).await;
        log_in(&host, &oidc, &[], |url| {
            let page = browse(&["-L", url]);
            assert!(page.contains("You are logged in"), "{page}");
        });
        assert_eq!(resource(&host, &oidc).await["account"], "ada");
        // Each refresh uses the refresh token up, and whoever shows a used one has all taken away.
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            let all = join_all((0..10).map(|_| resource(&host, &oidc))).await;
            assert!(all.iter().all(|seen| seen["account"] == "ada"), "{all:?}");
        }
    });
}

#[test]
fn a_person_logs_in_on_another_device() {
    let Some(oidc) = Oidc::start(3) else { return };
    Setup::default().run(async |host| {
        install(&host, "http", &oidc.issuer).await;
        log_in(&host, &oidc, &["--device"], |what| {
            let (url, code) = what.split_once(" and enter ").unwrap();
            let jar = tempfile::NamedTempFile::new().unwrap();
            let jar = jar.path().to_str().unwrap();
            let page = browse(&["-c", jar, "-b", jar, url]);
            let (_, rest) = page.split_once("name=\"xsrf\" value=\"").unwrap();
            let xsrf = format!("xsrf={}", rest.split('"').next().unwrap());
            let code = format!("user_code={code}");
            let form = ["-d", &xsrf, "-d", &code, "-d", "confirm=yes"];
            let page = browse(&[&["-L", "-c", jar, "-b", jar], &form[..], &[url]].concat());
            assert!(page.contains("Success"), "{page}");
        });
        assert_eq!(resource(&host, &oidc).await["account"], "ada");
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(resource(&host, &oidc).await["account"], "ada");
    });
}

#[test]
fn requests_are_signed_as_aws_wants_it() {
    let Some(s3) = S3::start() else { return };
    Setup::default().run(async |host| {
        let origin = s3.endpoint();
        install(&host, "http", origin).await;
        install(&host, "http_stream", origin).await;
        let how = [
            "--sigv4",
            "tests",
            "--region",
            "us-east-1",
            "--service",
            "s3",
        ];
        let said = set(&host, &how, s3.secret()).exits(0);
        assert!(
            said.out.contains("AWS signature of tests for s3"),
            "{}",
            said.out
        );
        let url = format!("{origin}/capsules/a%20b/%C3%B6(1)?x-id=PutObject");
        let put = json!({
            "method": "PUT", "url": url, "body": "kept", "headers": {"x-amz-meta-kind": "note"},
        });
        let answer = ask(&host, put.clone()).await;
        assert_eq!(answer["status"], 200, "{answer}");
        let get = format!("{origin}/capsules/a%20b/%C3%B6(1)");
        let answer = ask(&host, json!({ "url": get })).await;
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&json!(200), &json!("kept"))
        );
        let list = format!("{origin}/capsules?list-type=2&prefix=a%20b%2F");
        let answer = ask(&host, json!({ "url": list })).await;
        assert!(
            answer["body"].as_str().unwrap().contains("<Key>a b/"),
            "{answer}"
        );
        // In pieces, whose hash nobody knows beforehand: S3 takes that, and says that it is no
        // request that it knows.
        let streamed = json!({"urls": [get], "chunks": ["one", "two"], "headers": {}});
        let answer = host.call("http_stream", &streamed).await.structured();
        assert!(answer[0]["status"] != 403, "{answer}");

        // What says who asks is the host's to say.
        for field in [
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
            "x-amz-content-sha256",
            "x-amz-copy-source",
        ] {
            let own = json!({"url": get, "headers": {field: "mine"}});
            let answer = ask(&host, own).await;
            assert_eq!(answer["error"], "invalid-request", "{field}: {answer}");
        }
        let own = json!({"url": format!("{get}?X-Amz-Signature=mine")});
        assert_eq!(ask(&host, own).await["error"], "invalid-request");

        set(&host, &how, "another-secret-of-the-tests").exits(0);
        let answer = ask(&host, put).await;
        assert_eq!(answer["status"], 403, "{answer}");
        let how = [
            "--sigv4",
            "not an id",
            "--region",
            "us-east-1",
            "--service",
            "s3",
        ];
        let said = set(&host, &how, "value").exits(2);
        assert!(
            said.err.contains("the id of the access key"),
            "{}",
            said.err
        );
    });
}

/// What a form has under a name.
fn member(form: &str, name: &str) -> String {
    let pairs = reqwest::Url::parse(&format!("http://a/?{form}")).unwrap();
    let found = pairs.query_pairs().find(|(key, _)| key == name);
    found.expect(name).1.into_owned()
}

#[test]
fn a_service_account_signs_for_its_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (key, public) = (
        folder.path().join("key.pem"),
        folder.path().join("public.pem"),
    );
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output();
        let done = done.expect("openssl");
        assert!(done.status.success(), "{done:?}");
        done
    };
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        &path(&key),
    ]);
    openssl(&[
        "pkey",
        "-in",
        &path(&key),
        "-pubout",
        "-out",
        &path(&public),
    ]);
    Setup::default().run(async |host| {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel::<String>();
        let router = Router::new()
            .route(
                "/token",
                post(async move |form: String| {
                    told.send(form).unwrap();
                    axum::Json(json!({
                        "access_token": "an-account's-token-of-the-tests", "token_type": "Bearer",
                        "expires_in": 3600,
                    }))
                }),
            )
            .route(
                "/api",
                axum::routing::get(async |headers: axum::http::HeaderMap| {
                    headers["authorization"]
                        .to_str()
                        .unwrap_or_default()
                        .len()
                        .to_string()
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        install(&host, "http", &origin).await;

        let account = |key: &str| {
            json!({
                "type": "service_account", "client_email": "soma@tests.example",
                "private_key": key, "private_key_id": "k1", "token_uri": format!("{origin}/token"),
            })
            .to_string()
        };
        let how = [
            "--google",
            "--scope",
            "https://api.test/read",
            "--scope",
            "write",
        ];
        let pem = std::fs::read_to_string(&key).unwrap();
        for (wrong, part) in [
            ("gibberish".to_owned(), "JSON with client_email"),
            (account("gibberish"), "no PKCS #8 in PEM"),
        ] {
            let said = set(&host, &how, &wrong).exits(2);
            assert!(said.err.contains(part), "{}", said.err);
            assert!(!said.err.contains("gibberish"), "{}", said.err);
        }
        set(&host, &how, &account(&pem)).exits(0);

        // Somebody else's library says that the signature is good.
        let form = heard.recv().await.unwrap();
        assert_eq!(
            member(&form, "grant_type"),
            "urn:ietf:params:oauth:grant-type:jwt-bearer"
        );
        let assertion = member(&form, "assertion");
        let (text, signature) = assertion.rsplit_once('.').unwrap();
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let (signed, by) = (
            folder.path().join("signed"),
            folder.path().join("signature"),
        );
        std::fs::write(&signed, text).unwrap();
        std::fs::write(&by, decoded(signature)).unwrap();
        openssl(&[
            "dgst",
            "-sha256",
            "-verify",
            &path(&public),
            "-signature",
            &path(&by),
            &path(&signed),
        ]);
        let (header, claims) = text.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
        let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
        assert_eq!(
            (&header["alg"], &header["kid"]),
            (&json!("RS256"), &json!("k1"))
        );
        assert_eq!(claims["iss"], "soma@tests.example");
        assert_eq!(claims["scope"], "https://api.test/read write");
        assert_eq!(claims["aud"], format!("{origin}/token"));
        let (from, to) = (
            claims["iat"].as_i64().unwrap(),
            claims["exp"].as_i64().unwrap(),
        );
        assert_eq!(to - from, 3600);

        // The token goes along, and is exchanged for once.
        let token = "Bearer an-account's-token-of-the-tests";
        for _ in 0..2 {
            let answer = ask(&host, json!({"url": format!("{origin}/api")})).await;
            assert_eq!(answer["body"], token.len().to_string(), "{answer}");
        }
        assert!(heard.try_recv().is_err());
        server.abort();
    });
}
