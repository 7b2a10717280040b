//! The `soma` command, run as a user runs it.

mod author;
mod client;
mod input;
mod json;
mod keys;
pub(crate) mod languages;
mod learn;
mod market;
mod oci;
mod sealed;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{TestHost, command, target};

/// What a command said and how it ended.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output, which must be one JSON text.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The error in standard error, which must be one JSON text and hold nothing else.
    #[track_caller]
    pub(crate) fn json_error(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.err).unwrap_or_else(|error| panic!("{error}: {}", self.err));
        assert_eq!(value["error"]["exit"], self.code, "{value}");
        assert_eq!(self.out, "");
        value["error"].clone()
    }
}

/// `soma` with this data folder.
pub(crate) fn soma(data: &Path, arguments: &[&str]) -> Said {
    Said::of(command(data).args(arguments).output().expect("soma"))
}

/// `soma` beside a host, as its data folder's user, with nobody to ask.
pub(crate) async fn beside(host: &TestHost, arguments: &[&str]) -> Said {
    let mut command = command(&host.data());
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    Said::of(output.unwrap().expect("soma"))
}

/// What a command says to this text on its standard input.
pub(crate) fn fed(command: &mut Command, text: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("soma");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Who refuses the command line reads nothing.
    if let Err(error) = stdin.write_all(text.as_bytes()) {
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
    drop(stdin);
    Said::of(child.wait_with_output().expect("soma"))
}

/// `soma` as an author has it: a home of the author's own, whose toolchain and caches it uses.
/// What is compiled outside the repository is kept between runs of the tests.
pub(crate) fn author(folder: &Path) -> Command {
    let mut command = command(folder);
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target().join("tmp/authors"))
        .env("XDG_CACHE_HOME", target().join("tmp/cache"));
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    command
}
