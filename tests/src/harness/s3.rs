//! A real S3 server that checks every signature: s3s-fs, which keeps its objects in a folder.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::lacking;
use super::marketplace::PATIENCE;

const BUCKET: &str = "capsules";

/// A running server with one empty bucket, which ends with this value.
pub(crate) struct S3 {
    process: Child,
    folder: TempDir,
    endpoint: String,
    secret: String,
}

impl S3 {
    /// None where it is not installed, which is said aloud.
    pub(crate) fn start() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("data").join(BUCKET)).expect("a bucket");
        let log = File::create(folder.path().join("log")).expect("a file");
        let secret = uuid::Uuid::now_v7().simple().to_string();
        let process = Command::new("s3s-fs")
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(["--access-key", "tests", "--secret-key", &secret])
            .arg(folder.path().join("data"))
            .env("RUST_LOG", "s3s_fs=info")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(log)
            .spawn();
        let Ok(process) = process else {
            lacking("a test's run on S3: there is no s3s-fs");
            return None;
        };
        let mut server = Self {
            process,
            folder,
            endpoint: String::new(),
            secret,
        };
        server.endpoint = server.listening();
        Some(server)
    }

    fn listening(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).expect("its log");
            let rest = log.split_once("http://").map(|(_, rest)| rest);
            if let Some(address) = rest.and_then(|rest| rest.split_whitespace().next()) {
                return format!("http://{address}");
            }
            assert!(Instant::now() < deadline, "the S3 server starts: {log}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Its origin.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The secret of the access key `tests`.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// What a marketplace is told, in its environment.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("SOMA_MARKETPLACE_BLOBS", &*format!("s3://{BUCKET}/files")),
            ("AWS_ENDPOINT", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "tests"),
            ("AWS_SECRET_ACCESS_KEY", &self.secret),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// How many objects there are.
    pub(crate) fn objects(&self) -> usize {
        let files = self.folder.path().join("data").join(BUCKET);
        let files = fs::read_dir(files.join("files/sha256"));
        files.map_or(0, Iterator::count)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
