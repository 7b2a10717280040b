//! A server that keeps every byte of the requests it gets, to see how they are framed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers each request with an empty 200 once all of it is there. Its threads end with their
/// connections, or with the tests.
pub(crate) struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let record = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let record = record.clone();
                thread::spawn(move || serve(stream, &record));
            }
        });
        Self { address, seen }
    }

    /// Its origin, to be allowed.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All bytes so far, and forgets them.
    pub(crate) fn take(&self) -> String {
        let seen = std::mem::take(&mut *self.seen.lock().expect("no panics"));
        String::from_utf8(seen).expect("the tests send text")
    }
}

fn serve(mut stream: TcpStream, record: &Mutex<Vec<u8>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        record
            .lock()
            .expect("no panics")
            .extend_from_slice(&buffer[..read]);
        request.extend_from_slice(&buffer[..read]);
        if is_whole(&request) {
            request.clear();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).expect("a peer that reads");
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().expect("a number"))
}
