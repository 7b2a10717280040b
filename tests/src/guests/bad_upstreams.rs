//! Servers that break HTTP, never end, or are not who they say: through both doors, none of them
//! holds the host, takes its memory, or is believed.

use std::io::{self, BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

use super::answers_the_next_call;
use crate::harness::Setup;

/// What a guest may wait for, in milliseconds.
const TIME: u64 = 2_000;
/// Bytes of a response that it may have.
const BYTES: u64 = 1 << 20;

/// What a server does once it has been asked for the path of this name; the error that a guest is
/// told through `soma:capsule/http`, or none where it has an answer.
type Server = (
    &'static str,
    fn(&mut dyn Write) -> io::Result<()>,
    Option<&'static str>,
);

const SERVERS: [Server; 16] = [
    ("hundred-thousand-fields", many_fields, Some("protocol")),
    ("a-field-of-megabytes", long_field, Some("protocol")),
    ("a-status-line-without-end", long_status, Some("protocol")),
    ("ten-gigabytes", ten_gigabytes, Some("too-large")),
    ("without-end", without_end, Some("too-large")),
    (
        "in-pieces-without-end",
        pieces_without_end,
        Some("too-large"),
    ),
    ("a-byte-a-second", slow_body, Some("timeout")),
    ("a-field-a-second", slow_head, Some("timeout")),
    ("nothing", silence, Some("timeout")),
    ("continue-without-end", continues, Some("timeout")),
    ("ends-early", ends_early, Some("protocol")),
    ("not-http", not_http, Some("protocol")),
    ("a-piece-of-no-size", bad_piece, Some("protocol")),
    ("two-lengths", two_lengths, Some("protocol")),
    ("trailers-without-end", trailers, Some("protocol")),
    // Nothing is decompressed for a guest: it has what came.
    ("gzip", gzip, None),
];

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";

fn many_fields(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    for field in 0..100_000 {
        write!(out, "x-{field}: {field}\r\n")?;
    }
    out.write_all(b"content-length: 0\r\n\r\n")
}

fn long_field(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"x-long: ")?;
    out.write_all(&vec![b'a'; 16 << 20])?;
    out.write_all(b"\r\ncontent-length: 0\r\n\r\n")
}

fn long_status(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 200 ")?;
    loop {
        out.write_all(&[b'a'; 4096])?;
    }
}

fn ten_gigabytes(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"content-length: 10000000000\r\n\r\n")?;
    loop {
        out.write_all(&[0; 4096])?;
    }
}

fn without_end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"connection: close\r\n\r\n")?;
    loop {
        out.write_all(&[b'a'; 4096])?;
    }
}

fn pieces_without_end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"transfer-encoding: chunked\r\n\r\n")?;
    loop {
        out.write_all(b"10\r\n0123456789abcdef\r\n")?;
    }
}

fn slow_body(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"content-length: 1000\r\n\r\n")?;
    loop {
        out.write_all(b"a")?;
        thread::sleep(Duration::from_secs(1));
    }
}

fn slow_head(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    loop {
        out.write_all(b"x-a: b\r\n")?;
        thread::sleep(Duration::from_secs(1));
    }
}

fn silence(_: &mut dyn Write) -> io::Result<()> {
    thread::sleep(Duration::from_secs(20));
    Ok(())
}

fn continues(out: &mut dyn Write) -> io::Result<()> {
    loop {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        thread::sleep(Duration::from_millis(10));
    }
}

fn ends_early(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"content-length: 100\r\n\r\nnot all")
}

fn not_http(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"220 mail.example ESMTP\r\n")
}

fn bad_piece(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"transfer-encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n")
}

fn two_lengths(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"content-length: 1\r\ncontent-length: 3\r\n\r\nabc")
}

fn trailers(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")?;
    loop {
        out.write_all(b"x-a: b\r\n")?;
    }
}

/// A megabyte of zeros, in a thousand bytes.
fn gzip(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(HEAD)?;
    out.write_all(b"content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00")
}

/// A server in threads of its own, which end with the process.
fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // Who is asked no more cannot write.
            thread::spawn(move || drop(answer(stream)));
        }
    });
    address
}

/// Reads the head of a request, and gives what it asks for.
fn asked(stream: impl io::Read) -> io::Result<String> {
    let mut lines = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::new());
    lines.read_line(&mut first)?;
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    Ok(path.trim_start_matches('/').to_owned())
}

#[test]
fn none_of_them_holds_the_host() {
    let address = serve(|mut stream| {
        let path = asked(&stream)?;
        let server = SERVERS.iter().find(|(name, ..)| *name == path);
        server.map_or(Ok(()), |(_, act, _)| act(&mut stream))
    });
    let origin = format!("http://{address}");
    Setup::default()
        .flag("--allow-http", &origin)
        .limits(&format!("response-bytes={BYTES},time-ms=20000"))
        .run(async |host| {
            host.install_guests(&["http", "wasi_http"]).await;
            let before = host.peak_memory();
            for (name, _, error) in SERVERS {
                let url = format!("{origin}/{name}");
                let input = json!({"url": url, "timeout_ms": TIME});
                let answer = host.call("http", &input).await.structured();
                match error {
                    Some(error) => assert_eq!(answer["error"], error, "{name}: {answer}"),
                    None => assert_eq!(answer["status"], 200, "{name}: {answer}"),
                }
                let said = answer.to_string().len();
                assert!(said < 2000, "{name}: {said} bytes");
            }
            // The other door has no bound on time but the call's own.
            for (name, _, error) in SERVERS {
                if error == Some("timeout") {
                    continue;
                }
                let input = json!({"url": format!("{origin}/{name}")});
                let answer = host.call("wasi_http", &input).await;
                // Pieces without end can be more than a guest may ask for.
                assert_eq!(answer.status, 424, "{name}: {}", answer.text);
            }
            answers_the_next_call(&host).await;
            let grown = host.peak_memory().saturating_sub(before);
            assert!(grown < 128 << 20, "{grown} bytes more");
        });
}

#[test]
fn time_ends_a_call_that_waits_at_the_other_door() {
    let address = serve(|mut stream| {
        asked(&stream)?;
        slow_body(&mut stream)
    });
    let origin = format!("http://{address}");
    Setup::default()
        .flag("--allow-http", &origin)
        .limits("time-ms=1500")
        .run(async |host| {
            host.install_guests(&["wasi_http"]).await;
            let answer = host.call("wasi_http", &json!({"url": origin})).await;
            answer.problem(504, "out-of-time");
            answers_the_next_call(&host).await;
        });
}

/// A server that shows this certificate, and says hello to whoever believes it.
fn serve_tls(certificate: &rcgen::Certificate, key: &KeyPair) -> SocketAddr {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate.der().clone()], key.into())
    .unwrap();
    let config = Arc::new(config);
    serve(move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        let mut stream = rustls::StreamOwned::new(connection, stream);
        asked(&mut stream)?;
        stream.write_all(HEAD)?;
        stream.write_all(b"content-length: 5\r\n\r\nhello")?;
        stream.flush()
    })
}

#[test]
fn only_who_proves_who_it_is_is_believed() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let signed = |name: &str, until: i32| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        params.signed_by(&key, &authority).unwrap()
    };
    let unknown = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let unknown = unknown.self_signed(&key).unwrap();
    let plain = serve(|mut stream| {
        ends_early(&mut stream)?;
        asked(&stream).map(drop)
    });
    let servers = [
        ("good", serve_tls(&signed("localhost", 2100), &key), None),
        (
            "of another name",
            serve_tls(&signed("other.test", 2100), &key),
            Some("tls"),
        ),
        (
            "expired",
            serve_tls(&signed("localhost", 2020), &key),
            Some("tls"),
        ),
        ("of nobody known", serve_tls(&unknown, &key), Some("tls")),
        ("plain HTTP", plain, Some("tls")),
    ];
    let mut setup = Setup::default().env("SSL_CERT_FILE", &roots);
    for (_, address, _) in &servers {
        let origin = format!("https://localhost:{}", address.port());
        setup = setup.flag("--allow-http", origin);
    }
    setup.run(async |host| {
        host.install_guests(&["http", "wasi_http"]).await;
        for (what, address, error) in &servers {
            let input = json!({"url": format!("https://localhost:{}/", address.port())});
            let answer = host.call("http", &input).await.structured();
            let seen = answer["error"].as_str();
            assert_eq!(seen, *error, "{what}: {answer}");
            let other = host.call("wasi_http", &input).await;
            match error {
                Some(_) => {
                    other.problem(424, "tool-failed");
                }
                None => assert_eq!(other.structured()["body"], Value::from("hello")),
            }
        }
        answers_the_next_call(&host).await;
    });
}
