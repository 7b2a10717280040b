//! The client against a server that answers what it is told to.

mod audit;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::api::Login;
use crate::follower::Follower;
use crate::key::SecretKey;
use crate::log::{Checkpoint, Frontier, NoteSecret, Resource, write_bundle};

type Answers = BTreeMap<String, (u16, Vec<u8>)>;

/// Answers each path as it is told, else 404; keeps what it was sent.
struct Server {
    url: Url,
    seen: Arc<Mutex<Vec<u8>>>,
}

async fn serve(answers: Answers) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (answers, log) = (Arc::new(answers), seen.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, answers.clone(), log.clone()));
        }
    });
    Server {
        url: url.parse().unwrap(),
        seen,
    }
}

/// One request a connection: its head, its body by `content-length`, and the answer.
async fn answer(mut stream: TcpStream, answers: Arc<Answers>, seen: Arc<Mutex<Vec<u8>>>) {
    let mut request = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, _)| {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then_some(value)
            });
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            request.len() >= head.len() + 4 + length
        });
        if whole {
            break;
        }
        let read = stream.read(&mut piece).await.unwrap();
        request.extend(&piece[..read]);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().extend(&request);
    let none = (404, Vec::new());
    let (status, body) = answers.get(&path).unwrap_or(&none);
    let location = match status {
        302 => format!("location: {}\r\n", String::from_utf8_lossy(body)),
        _ => String::new(),
    };
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-length: {}\r\n{location}connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
}

fn log_secret() -> NoteSecret {
    NoteSecret::new("log.test", SecretKey::generate().unwrap()).unwrap()
}

fn marketplace(server: &Server, secret: &NoteSecret) -> Marketplace {
    Marketplace::new(server.url.clone(), secret.log_key()).unwrap()
}

fn log_answers(secret: &NoteSecret, leaves: &[Vec<u8>]) -> Answers {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(leaf);
    }
    let checkpoint = Checkpoint::sign(secret, &frontier).unwrap();
    let mut answers = Answers::from([("/log/checkpoint".into(), (200, checkpoint.to_bytes()))]);
    for bundle in Resource::entries_from(0, leaves.len() as u64) {
        let first = usize::try_from(bundle.first()).unwrap();
        let entries = leaves[first..][..bundle.width.into()].iter();
        let bytes = write_bundle(entries.map(Vec::as_slice));
        answers.insert(format!("/log/{bundle}"), (200, bytes));
    }
    answers
}

#[test]
fn only_what_nobody_can_read_on_the_way() {
    let key = log_secret().log_key();
    let refused = |url: &str| {
        let made = Marketplace::new(url.parse().unwrap(), key.clone());
        made.err().map(|error| error.to_string())
    };
    for good in [
        "https://market.example",
        "https://market.example/under/",
        "http://127.0.0.1:80",
        "http://[::1]:80",
        "http://localhost:1",
    ] {
        assert_eq!(refused(good), None, "{good}");
    }
    for (bad, part) in [
        ("http://market.example", "not encrypted"),
        ("http://127.0.0.1.example", "not encrypted"),
        ("ftp://market.example", "neither https nor http"),
        ("https://a:b@market.example", "not a plain address"),
        ("https://market.example/?q", "has a `?`"),
        ("mailto:a@market.example", "not a plain address"),
    ] {
        let message = refused(bad).unwrap();
        assert!(message.contains(part), "{bad}: {message}");
    }
}

#[tokio::test]
async fn follows_a_log_and_refuses_another() {
    let secret = log_secret();
    let leaves: Vec<Vec<u8>> = (0..600).map(|n: u32| n.to_string().into()).collect();
    let server = serve(log_answers(&secret, &leaves)).await;
    let marketplace = marketplace(&server, &secret);
    let mut follower = Follower::new(Frontier::default());
    let (checkpoint, new) = marketplace.follow(&mut follower).await.unwrap();
    assert_eq!((checkpoint.size(), &new), (600, &leaves));
    let (_, new) = marketplace.follow(&mut follower).await.unwrap();
    assert_eq!(new, Vec::<Vec<u8>>::new());
    assert_eq!(
        marketplace.leaves(255, 257).await.unwrap(),
        leaves[255..257]
    );
    assert_eq!(marketplace.leaves(300, 600).await.unwrap(), leaves[300..]);

    let mut other = leaves.clone();
    other[3] = b"x".to_vec();
    let forked = serve(log_answers(&secret, &other)).await;
    let fork = self::marketplace(&forked, &secret);
    assert!(fork.follow(&mut follower).await.unwrap_err().is_alarm());
    let stranger = self::marketplace(&server, &log_secret());
    let refused = stranger.checkpoint().await.unwrap_err();
    assert!(refused.is_alarm(), "{refused}");
}

#[tokio::test]
async fn a_partial_bundle_that_is_gone_is_the_begin_of_the_full_one() {
    let secret = log_secret();
    let leaves: Vec<Vec<u8>> = (0..256).map(|n: u32| n.to_string().into()).collect();
    let server = serve(log_answers(&secret, &leaves)).await;
    let marketplace = marketplace(&server, &secret);
    assert_eq!(marketplace.leaves(2, 5).await.unwrap(), leaves[2..5]);
}

#[tokio::test]
async fn answers_of_other_kinds_are_named() {
    let problem = br#"{"type":"urn:soma:problem:unknown-package","title":"T","detail":"d"}"#;
    let answers = Answers::from([
        ("/v1".into(), (200, b"{".to_vec())),
        ("/v1/tokens".into(), (404, problem.to_vec())),
        ("/v1/invitations".into(), (502, b"<html>".to_vec())),
        ("/log/checkpoint".into(), (200, vec![b' '; 70 << 10])),
        (
            "/v1/operator/reviews".into(),
            (302, b"http://127.0.0.2:9/".to_vec()),
        ),
    ]);
    let server = serve(answers).await;
    let token = SecretString::from("soma_token");
    let marketplace = marketplace(&server, &log_secret());
    let marketplace = marketplace.with_token(&token).unwrap();
    let malformed = marketplace.about().await.unwrap_err();
    assert!(
        matches!(malformed, ClientError::Malformed { .. }),
        "{malformed}"
    );
    let problem = marketplace.tokens().await.unwrap_err();
    assert_eq!(problem.code(), Some("unknown-package"));
    assert!(problem.is_not_found() && problem.to_string() == "T: d");
    let proxy = marketplace.invitations().await.unwrap_err();
    assert!(proxy.is_outage() && proxy.to_string().contains("502"));
    let large = marketplace.checkpoint().await.unwrap_err();
    assert!(matches!(large, ClientError::TooLarge { .. }), "{large}");
    let elsewhere = marketplace.reviews().await.unwrap_err();
    assert!(elsewhere.to_string().contains("302"), "{elsewhere}");
    let seen = server.seen.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&seen).contains("authorization: Bearer soma_token"));
    assert!(!format!("{marketplace:?}").contains("soma_token"));
}

#[tokio::test]
async fn publishes_in_one_request_and_says_how_far_it_is() {
    let published = br#"{"state":"published","leaf":7}"#;
    let server = serve(Answers::from([(
        "/v1/publish".into(),
        (201, published.to_vec()),
    )]))
    .await;
    let envelope = Login {
        log: "log.test".to_owned(),
        account: "ada".parse().unwrap(),
        challenge: "c".to_owned(),
    };
    let envelope = envelope.sign(&[&SecretKey::generate().unwrap()]).unwrap();
    let far = Arc::new(Mutex::new(Vec::new()));
    let told = far.clone();
    let answer = marketplace(&server, &log_secret())
        .publish(&envelope, &envelope, vec![b'w'; 100_000], move |sent| {
            told.lock().unwrap().push(sent);
        })
        .await
        .unwrap();
    assert_eq!(answer, crate::api::Published::Published { leaf: 7 });
    assert_eq!(*far.lock().unwrap(), [65_536, 100_000]);
    let seen = String::from_utf8_lossy(&server.seen.lock().unwrap()).into_owned();
    let at = |part: &str| seen.find(&format!("name=\"{part}\"")).unwrap();
    assert!(at("statement") < at("change") && at("change") < at("capsule"));
}
