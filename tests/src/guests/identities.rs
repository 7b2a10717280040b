//! Servers that a private authority vouches for, and such as ask who connects.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::cli::{Said, beside, fed};
use crate::harness::{Setup, TestHost, command, pack_with};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for this name and its key.
fn issued(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// As `soma secret set` takes it.
fn client_pem(authority: &Authority, name: &str) -> String {
    let (certificate, key) = issued(authority, name);
    certificate.pem() + &key.serialize_pem()
}

/// A server on `localhost` that tells whoever connects how many certificates it was shown.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(own: &Authority, of_clients: Option<&Authority>) -> Self {
        let (certificate, key) = issued(own, "localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = match of_clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = config.with_single_cert(vec![certificate.der().clone()], key.into());
        Self::serve(Arc::new(config.unwrap()))
    }

    fn serve(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, count) = (config.clone(), count.clone());
                // Who is refused cannot be answered.
                thread::spawn(move || drop(answer(config, stream, &count)));
            }
        });
        Self {
            address,
            connections,
        }
    }

    fn origin(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Answers one request after another on one connection.
fn answer(
    config: Arc<ServerConfig>,
    stream: std::net::TcpStream,
    count: &AtomicUsize,
) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let mut is_first = true;
    loop {
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            line.clear();
        }
        if line.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut is_first) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let stream = stream.get_mut();
        let shown = stream.conn.peer_certificates().map_or(0, <[_]>::len);
        let body = format!("{shown} shown");
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        stream.flush()?;
    }
}

async fn install(host: &TestHost, servers: &[&Server]) {
    let lines = servers.iter().map(|server| {
        format!(
            "[[capabilities.http]]\norigin = \"{}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\n\
             why = \"A test.\"\n",
            server.origin()
        )
    });
    let lines = lines.collect::<String>();
    for guest in ["http", "wasi_http"] {
        host.install(&pack_with(guest, &lines)).await;
    }
}

async fn grant(host: &TestHost, entries: &[Value]) {
    for capsule in ["tests/http", "tests/wasi-http"] {
        let wanted = json!({"grant": {"http": entries}});
        host.grant(capsule, &wanted).await.expect(200);
    }
}

fn entry(server: &Server, path: &str, more: Value) -> Value {
    let mut entry = json!({"origin": server.origin(), "methods": ["GET"], "paths": [path]});
    let Value::Object(more) = more else { panic!() };
    entry.as_object_mut().unwrap().extend(more);
    entry
}

/// What both doors say alike: the body, or the error.
async fn ask(host: &TestHost, server: &Server, path: &str) -> String {
    let input = json!({"url": format!("{}{path}", server.origin())});
    let answer = host.call("http", &input).await.structured();
    let said = match answer["error"].as_str() {
        Some(error) => error.to_owned(),
        None => answer["body"].as_str().unwrap().to_owned(),
    };
    let other = host.call("wasi_http", &input).await;
    match answer["error"].is_null() {
        true => assert_eq!(other.structured()["body"], said.as_str()),
        false => drop(other.problem(424, "tool-failed")),
    }
    said
}

/// `soma secret set NAME --client-certificate`.
fn set(host: &TestHost, name: &str, pem: &str) -> Said {
    let mut soma = command(&host.data());
    soma.args(["secret", "set", name, "--client-certificate"]);
    fed(&mut soma, pem)
}

#[test]
fn a_private_authority_is_believed_where_it_is_granted() {
    let (ours, theirs) = (authority(), authority());
    let (server, other) = (Server::start(&ours, None), Server::start(&theirs, None));
    Setup::default().run(async |host| {
        install(&host, &[&server, &other]).await;
        let plain = |server| entry(server, "/**", json!({}));
        grant(&host, &[plain(&server), plain(&other)]).await;
        assert_eq!(ask(&host, &server, "/").await, "tls");
        let with = |server, path| entry(server, path, json!({"ca": ours.pem()}));
        grant(
            &host,
            &[with(&server, "/in/**"), plain(&server), with(&other, "/**")],
        )
        .await;
        // For that entry alone, and not for servers that another authority vouches for.
        assert_eq!(ask(&host, &server, "/in/a").await, "0 shown");
        assert_eq!(ask(&host, &server, "/out").await, "tls");
        assert_eq!(ask(&host, &other, "/").await, "tls");
        grant(&host, &[plain(&server)]).await;
        assert_eq!(ask(&host, &server, "/in/a").await, "tls");

        let broken = ours.pem().replacen('M', "!", 1);
        let key = ours.key().serialize_pem();
        let no_certificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        for (ca, words) in [
            ("", "0 certificates of authorities"),
            (&broken, "no PEM"),
            (&(ours.pem() + &key), "such as a private key"),
            (no_certificate, "the certificate sha256:ba7816bf"),
        ] {
            let entry = entry(&server, "/**", json!({"ca": ca}));
            let wanted = json!({"grant": {"http": [entry]}});
            let problem = host.grant("tests/http", &wanted).await;
            let problem = problem.problem(400, "bad-request");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{detail}");
        }
        let mut plain = with(&server, "/**");
        plain["origin"] = json!("http://localhost:1");
        let wanted = json!({"grant": {"http": [plain]}});
        let problem = host.grant("tests/http", &wanted).await;
        let problem = problem.problem(400, "bad-request");
        assert!(
            problem.to_string().contains("origin of `https`"),
            "{problem}"
        );
    });
}

/// The server did not take who was shown to it. In TLS 1.3 a client has shaken hands by then, and is
/// sending its request: it sees the alert, or that the connection is gone.
#[track_caller]
fn is_refused(answer: &str) {
    assert!(["tls", "protocol"].contains(&answer), "{answer}");
}

#[test]
fn a_client_certificate_is_shown_where_it_is_granted() {
    let (ours, clients) = (authority(), authority());
    let server = Server::start(&ours, Some(&clients));
    Setup::default().run(async |host| {
        let before = server.connections();
        install(&host, &[&server]).await;
        let with = |path, name: &str| {
            entry(
                &server,
                path,
                json!({"ca": ours.pem(), "client-certificate": name}),
            )
        };
        let without = entry(&server, "/**", json!({"ca": ours.pem()}));
        let all = [with("/in/**", "corp"), with("/late/**", "token"), without];
        grant(&host, &all).await;
        // It is named, and not there; or it is something else.
        assert_eq!(ask(&host, &server, "/in/a").await, "denied");
        host.logged("soma secret set corp --client-certificate")
            .await;
        let path = "/v1/admin/secrets/token?tenant=default";
        let token = json!({"value": "a-token-of-the-tests"});
        host.admin.put(path, &token).await.expect(200);
        assert_eq!(ask(&host, &server, "/late/a").await, "denied");
        set(&host, "corp", &client_pem(&clients, "capsule")).exits(0);
        assert_eq!(ask(&host, &server, "/in/a").await, "1 shown");
        assert_eq!(ask(&host, &server, "/in/b").await, "1 shown");
        // A connection that was made with it is there, and serves nobody else.
        is_refused(&ask(&host, &server, "/out").await);
        assert_eq!(ask(&host, &server, "/in/c").await, "1 shown");
        // Two doors are two capsules, and so two connections.
        assert_eq!(server.connections() - before, 2);

        // Another one is another connection: one whose authority the server does not know.
        set(&host, "corp", &client_pem(&ours, "capsule")).exits(0);
        is_refused(&ask(&host, &server, "/in/a").await);
        set(&host, "corp", &client_pem(&clients, "capsule")).exits(0);
        assert_eq!(ask(&host, &server, "/in/a").await, "1 shown");
        assert!(!host.log().contains("PRIVATE KEY"));
    });
}

#[test]
fn pools_are_one_identitys_own() {
    let (ours, clients) = (authority(), authority());
    let server = Server::start(&ours, Some(&clients));
    Setup::default().run(async |host| {
        let before = server.connections();
        install(&host, &[&server]).await;
        for name in ["one", "two"] {
            set(&host, name, &client_pem(&clients, name)).exits(0);
        }
        let with = |path, name: &str| {
            entry(
                &server,
                path,
                json!({"ca": ours.pem(), "client-certificate": name}),
            )
        };
        grant(&host, &[with("/one", "one"), with("/two", "two")]).await;
        for _ in 0..3 {
            for path in ["/one", "/two"] {
                assert_eq!(ask(&host, &server, path).await, "1 shown");
            }
        }
        assert_eq!(server.connections() - before, 4);
    });
}

#[test]
fn a_certificate_is_no_credential_and_a_broken_one_is_refused() {
    let (ours, clients) = (authority(), authority());
    let server = Server::start(&ours, None);
    Setup::default().run(async |host| {
        let lines = format!(
            "[[capabilities.http]]\norigin = \"{}\"\nmethods = [\"GET\"]\npaths = [\"/**\"]\n\
             credential = \"corp\"\nwhy = \"A test.\"\n",
            server.origin()
        );
        host.install(&pack_with("http", &lines)).await;
        let pem = client_pem(&clients, "capsule");
        set(&host, "corp", &pem).exits(0);
        let granted = entry(
            &server,
            "/**",
            json!({"ca": ours.pem(), "credential": "corp"}),
        );
        let wanted = json!({"grant": {"http": [granted]}});
        host.grant("tests/http", &wanted).await.expect(200);
        let input = json!({"url": server.origin()});
        let answer = host.call("http", &input).await.structured();
        assert_eq!(answer["error"], "denied", "{answer}");

        let (certificate, _) = issued(&clients, "capsule");
        let another_key = KeyPair::generate().unwrap().serialize_pem();
        for (wrong, words) in [
            ("a-token", "no certificate in it"),
            (&*certificate.pem(), "one private key"),
            (&*another_key, "no certificate in it"),
            (&(pem.clone() + &another_key), "one private key"),
            (&(certificate.pem() + &another_key), "KeyMismatch"),
            (&pem.replace("-----END PRIVATE KEY-----", ""), "no PEM"),
        ] {
            let said = set(&host, "corp", wrong).exits(2);
            assert!(said.err.contains(words), "{words}: {}", said.err);
            assert!(!said.err.contains(another_key.lines().nth(1).unwrap()));
        }
    });
}

#[test]
fn an_operator_grants_them_by_the_command_line() {
    let (ours, clients) = (authority(), authority());
    let server = Server::start(&ours, Some(&clients));
    Setup::default().run(async |host| {
        install(&host, &[&server]).await;
        set(&host, "corp", &client_pem(&clients, "capsule")).exits(0);
        let file = host.data().join("ca.pem");
        std::fs::write(&file, ours.pem()).unwrap();
        let requests = format!("GET {}/**", server.origin());
        for capsule in ["tests/http", "tests/wasi-http"] {
            let set = ["grant", "set", capsule, "--yes", "--http", &requests];
            let tls = [
                "--ca",
                file.to_str().unwrap(),
                "--client-certificate",
                "corp",
            ];
            beside(&host, &[&set[..], &tls].concat()).await.exits(0);
        }
        assert_eq!(ask(&host, &server, "/").await, "1 shown");
        let shown = beside(&host, &["grant", "show", "tests/http"])
            .await
            .exits(0)
            .out;
        assert!(
            shown.contains("as the client of the certificate `corp`, vouched for by sha256:"),
            "{shown}"
        );
        let listed = beside(&host, &["secret", "list"]).await.exits(0).out;
        assert!(listed.contains("client certificate"), "{listed}");
        std::fs::write(&file, "no certificate").unwrap();
        let set = [
            "grant",
            "set",
            "tests/http",
            "--yes",
            "--http",
            &requests,
            "--ca",
        ];
        let said = beside(&host, &[&set[..], &[file.to_str().unwrap()]].concat())
            .await
            .exits(2);
        assert!(said.err.contains("0 certificates"), "{}", said.err);
    });
}
