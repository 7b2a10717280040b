//! `soma/web`, on real pages: the Rust documentation that is installed with the toolchain.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use super::sample;
use crate::harness::{Setup, full, lacking};

/// `share/doc/rust/html` of the toolchain, where it is installed.
fn documentation() -> Option<PathBuf> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(sysroot.stdout).ok()?;
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/html");
    folder.join("std/index.html").exists().then_some(folder)
}

/// A web server of a folder of files, which ends with this value.
struct Pages {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    server: Option<thread::JoinHandle<()>>,
}

impl Pages {
    fn serve(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let server = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is its own business.
                let _ = answer(stream.unwrap(), &folder);
            }
        });
        Self {
            address,
            ended,
            server: Some(server),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(server) = self.server.take() {
            assert!(server.join().is_ok() || thread::panicking());
        }
    }
}

fn answer(mut stream: std::net::TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut request = [0; 8192];
    let mut length = 0;
    while !request[..length].windows(4).any(|end| end == b"\r\n\r\n") && length < request.len() {
        match stream.read(&mut request[length..])? {
            0 => break,
            more => length += more,
        }
    }
    let text = String::from_utf8_lossy(&request[..length]);
    let path = text
        .split(' ')
        .nth(1)
        .unwrap_or("/")
        .trim_start_matches('/')
        .to_owned();
    let (status, body) = match std::fs::read(folder.join(&path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => (
            "404 Not Found",
            b"<title>Not here</title><p>Nothing.".to_vec(),
        ),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

#[test]
fn real_pages() {
    let Some(folder) = documentation() else {
        return lacking("soma/web on real pages: `rustup component add rust-docs` brings them");
    };
    let pages = Pages::serve(folder.clone());
    let setup = Setup::default().flag("--allow-http", format!("http://{}", pages.address));
    setup.run(async |host| {
        host.install(&sample("web")).await;
        let read = async |path: &str| {
            host.invoke
                .call("soma/web", "read", &json!({"url": pages.url(path)}))
                .await
        };
        let std = read("std/index.html").await.structured();
        assert_eq!(std["title"], "std - Rust", "{std}");
        let markdown = std["markdown"].as_str().unwrap();
        assert!(
            markdown.contains("The Rust Standard Library"),
            "{markdown:.400}"
        );
        assert!(markdown.contains("# "), "{markdown:.400}");
        assert!(
            !markdown.contains("<div") && !markdown.contains("function("),
            "{markdown:.400}"
        );
        assert!(std["links"].as_array().unwrap().len() > 50);

        let book = read("book/ch04-01-what-is-ownership.html")
            .await
            .structured();
        let markdown = book["markdown"].as_str().unwrap();
        assert!(
            markdown.contains("Ownership Rules") && markdown.contains("```"),
            "{markdown:.400}"
        );

        for path in some_pages(&folder, if full() { 300 } else { 20 }) {
            let answer = read(&path).await;
            let page = answer.structured();
            assert!(page["markdown"].is_string(), "{path}: {}", answer.text);
        }
        let missing = read("no/such/page.html").await;
        assert!(
            missing.status == 422 || missing.status == 502,
            "{}",
            missing.text
        );
        let elsewhere = json!({"url": "http://127.0.0.1:9/"});
        host.invoke
            .call("soma/web", "read", &elsewhere)
            .await
            .problem(424, "tool-denied");
    });
}

/// Pages from all over the folder, the same ones every time.
fn some_pages(folder: &Path, count: usize) -> Vec<String> {
    let mut pages = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let files = std::fs::read_dir(next)
            .unwrap()
            .map(|file| file.unwrap().path());
        for path in files {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "html")
                && path.metadata().unwrap().len() > 1000
            {
                pages.push(
                    path.strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    pages.sort();
    let step = pages.len() / count;
    pages.into_iter().step_by(step.max(1)).take(count).collect()
}
