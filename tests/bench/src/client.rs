//! A load client that costs the machine little: the same bytes again and again over connections
//! that stay open, and of each answer only what says where it ends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::CONCURRENCY;

/// One `POST` as it goes over the wire.
pub(crate) fn post(address: SocketAddr, path: &str, key: &str, body: &str) -> Vec<u8> {
    post_with(address, path, key, "", body)
}

/// The same with further header fields, each with the end of its line.
pub(crate) fn post_with(
    address: SocketAddr,
    path: &str,
    key: &str,
    fields: &str,
    body: &str,
) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n{fields}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One `GET`, by nobody.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}

/// Answers a second, over [`CONCURRENCY`] connections that each wait for their answer.
pub(crate) async fn throughput(
    address: SocketAddr,
    request: &[u8],
    time: Duration,
) -> anyhow::Result<f64> {
    let end = Instant::now() + time;
    let mut connections = JoinSet::new();
    for _ in 0..CONCURRENCY {
        let request = request.to_owned();
        connections.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut answers = 0_u32;
            while Instant::now() < end {
                let status = connection.exchange(&request).await?;
                ensure!(status == 200, "{status} in place of an answer");
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(connection) = connections.join_next().await {
        answers += connection??;
    }
    Ok(f64::from(answers) / time.as_secs_f64())
}

/// One connection, one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends a request, reads its answer to the end and gives its status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let length = content_length(&self.buffer[..head])?;
            if self.buffer.len() < head + 4 + length {
                continue;
            }
            return status(&self.buffer);
        }
    }
}

fn status(answer: &[u8]) -> anyhow::Result<u16> {
    let code = answer.get(9..12).context("an answer without a status")?;
    Ok(std::str::from_utf8(code)?.parse()?)
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a length")?
        .1
        .trim()
        .parse()
        .context("an answer's length")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
