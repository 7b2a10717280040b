//! A running `soma witness`.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Instant;

use soma_registry::log::{LogKey, WitnessKey};
use tempfile::TempDir;

use super::host::command;
use super::marketplace::PATIENCE;
use super::paths::own_folder;

/// A witness with a data folder of its own. Dropping it ends it.
pub(crate) struct TestWitness {
    pub(crate) key: WitnessKey,
    pub(crate) url: String,
    folder: TempDir,
    log: LogKey,
    process: Child,
}

impl TestWitness {
    /// Starts one that cosigns for this log.
    pub(crate) async fn start(name: &str, log: &LogKey) -> Self {
        let folder = own_folder();
        let process = spawn(folder.path(), name, log);
        let url = listening(folder.path()).await;
        let key = fs::read_to_string(folder.path().join("witness.vkey")).expect("its key");
        Self {
            key: key.trim().parse().expect("a key"),
            url,
            folder,
            log: log.clone(),
            process,
        }
    }

    /// As a marketplace is told of it.
    pub(crate) fn argument(&self) -> String {
        format!("{}@{}", self.key, self.url)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("a child");
        fs::remove_file(self.folder.path().join("witness.url")).expect("its address");
    }

    /// Starts it again on what the last one left, at another address.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.key.name(), &self.log);
        self.url = listening(self.folder.path()).await;
    }

    /// Sends a body to `add-checkpoint`; gives status, media type and answer.
    pub(crate) async fn add(&self, body: impl Into<reqwest::Body>) -> (u16, String, String) {
        let url = format!("{}/add-checkpoint", self.url);
        let request = reqwest::Client::new().post(url).body(body);
        let response = request.send().await.expect("an answer");
        let media = response.headers().get("content-type");
        let media = media.map_or_else(String::new, |media| media.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, media, response.text().await.expect("a text"))
    }
}

fn spawn(data: &Path, name: &str, log: &LogKey) -> Child {
    let mut command = command(data);
    command.args(["witness", "--listen", "127.0.0.1:0", "--name", name]);
    command
        .args(["--log", &log.to_string(), "--data"])
        .arg(data);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().expect("soma witness")
}

async fn listening(data: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match fs::read_to_string(data.join("witness.url")) {
            Ok(url) if url.ends_with('\n') => return url.trim().to_owned(),
            _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
    panic!("soma witness does not listen")
}

impl Drop for TestWitness {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
