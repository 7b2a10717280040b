//! A real authorization server: oidc-provider, with the resource that its tokens open.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::{lacking, repository, target};

/// A running server, which ends with this value.
pub(crate) struct Oidc {
    process: Child,
    pub(crate) issuer: String,
}

impl Oidc {
    /// Its tokens are good for so many seconds. None where it is not installed, which is said aloud.
    pub(crate) fn start(token_seconds: u32) -> Option<Self> {
        let modules = target().join("tools/oidc");
        if !modules.join("node_modules/oidc-provider").is_dir() {
            lacking("an authorization server: there is no oidc-provider in target/tools/oidc");
            return None;
        }
        let mut process = Command::new("node")
            .arg(repository().join("tests/oidc/provider.mjs"))
            .arg(modules)
            .env("TOKEN_SECONDS", token_seconds.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("what it says");
        let port = line.trim().strip_prefix("listening ");
        let port = port.unwrap_or_else(|| panic!("it listens: {line:?}"));
        let issuer = format!("http://127.0.0.1:{port}");
        Some(Self { process, issuer })
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
