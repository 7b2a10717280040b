//! Bodies that take their time, while what their senders may do changes.

use std::io;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Setup, TestHost, pack_guest};

/// A request that the host has let in, and whose body it waits for.
struct Begun {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Begun {
    async fn new(
        host: &TestHost,
        key: &str,
        (request, media_type): (&str, &str),
        body: Vec<u8>,
    ) -> Self {
        let address = host.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{request} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
             content-type: {media_type}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // It is sent when somebody reads the body.
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            text.push(stream.read_u8().await.unwrap());
        }
        assert!(text.starts_with(b"HTTP/1.1 100 "), "{text:?}");
        Self { stream, body }
    }

    /// Sends the body, and gives the answer.
    async fn end(mut self) -> (u16, String) {
        self.stream.write_all(&self.body).await.unwrap();
        let mut text = Vec::new();
        match self.stream.read_to_end(&mut text).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => {}
        }
        let text = String::from_utf8(text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }
}

const JSON: &str = "application/json";

async fn begin_all(host: &TestHost, key: &str) -> Vec<Begun> {
    let admin = json!({"tenant": "default", "scopes": ["admin"], "name": "taken"});
    let budget = json!({"span": "day", "tokens": 5});
    let documents = [
        ("POST /v1/admin/keys", admin),
        ("PUT /v1/admin/budgets", budget),
        ("POST /v1/capsules/tests/echo/tools/run", json!({})),
    ];
    let mut begun = Vec::new();
    for (request, body) in documents {
        let body = body.to_string().into_bytes();
        begun.push(Begun::new(host, key, (request, JSON), body).await);
    }
    let file = pack_guest("spin").bytes().to_vec();
    let install = ("POST /v1/capsules", "application/wasm");
    begun.push(Begun::new(host, key, install, file).await);
    let form =
        b"--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n\r\n--b--\r\n".to_vec();
    let brought = ("POST /v1/capsules", "multipart/form-data; boundary=b");
    begun.push(Begun::new(host, key, brought, form).await);
    begun
}

#[test]
fn whose_key_is_revoked_while_a_body_is_sent_does_nothing() {
    Setup::default().run(async |host| {
        host.install_guests(&["echo"]).await;
        let wanted = json!({"tenant": "default", "scopes": ["admin", "install", "invoke"]});
        let made = host.admin.post("/v1/admin/keys", &wanted).await.expect(201);
        let key = made["secret"].as_str().unwrap();
        let begun = begin_all(&host, key).await;

        let path = format!("/v1/admin/keys/{}", made["id"].as_str().unwrap());
        host.admin.delete(&path).await.expect(204);
        for request in begun {
            let (status, text) = request.end().await;
            assert_eq!(status, 401, "{text}");
        }
        let keys = host.admin.get("/v1/admin/keys").await.expect(200);
        let names = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| &key["name"]);
        assert!(!names.into_iter().any(|name| name == "taken"), "{keys}");
        let budgets = host.admin.get("/v1/admin/budgets").await.expect(200);
        assert_eq!(budgets["budgets"], json!([]));
        let capsules = host.admin.get("/v1/capsules").await.expect(200);
        let installed: Vec<&Value> = capsules["capsules"].as_array().unwrap().iter().collect();
        assert_eq!(installed.len(), 1, "{capsules}");
    });
}
