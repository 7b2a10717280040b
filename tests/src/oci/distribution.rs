//! The CNCF's own registry, as Debian ships it: it has no referrers API.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use soma_capability::Digest;
use soma_registry::oci::Reference;
use tempfile::TempDir;

use super::reference;
use crate::harness::lacking;

/// A running registry, empty at first, which ends with this value.
pub(crate) struct Distribution {
    process: Child,
    folder: TempDir,
    address: String,
}

impl Distribution {
    /// Open to everybody; none where it is not installed, which is said aloud.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Demands the user `docker` and this password.
    pub(crate) fn start_locked() -> Option<(Self, String)> {
        // It makes up a user for a file that is not there, and says so.
        let registry = Self::start_with("auth: {htpasswd: {realm: tests, path: users}}\n")?;
        let log = registry.log();
        let password = log.split("password=").nth(1).expect("a password");
        let password = password.split_whitespace().next().expect("not empty");
        let password = password.to_owned();
        Some((registry, password))
    }

    fn start_with(more: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: data}}}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\n{more}"
        );
        fs::write(folder.path().join("config.yml"), config).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a file");
        let process = Command::new("docker-registry")
            .args(["serve", "config.yml"])
            .current_dir(folder.path())
            .stderr(log.try_clone().expect("a file"))
            .stdout(log)
            .spawn();
        let Ok(process) = process else {
            lacking("a real OCI registry: there is no docker-registry");
            return None;
        };
        let mut registry = Self {
            process,
            folder,
            address: String::new(),
        };
        registry.address = registry.listening();
        Some(registry)
    }

    fn listening(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let log = self.log();
            if let Some((address, _)) = log
                .split_once("listening on ")
                .and_then(|(_, rest)| rest.split_once('"'))
            {
                return address.to_owned();
            }
            assert!(Instant::now() < deadline, "the registry starts: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// Something in it, such as `tests/a:1`.
    pub(crate) fn reference(&self, rest: &str) -> Reference {
        reference(&format!("oci://{}/{rest}", self.address))
    }

    /// What it keeps under this digest.
    pub(crate) fn stored(&self, digest: Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.path().join(format!(
            "data/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        ))
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        self.process.kill().expect("it is ours");
        self.process.wait().expect("it is ours");
    }
}

/// Runs `skopeo`; none where it is not installed, which is said aloud.
pub(crate) fn skopeo(arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("skopeo");
    command.arg("--insecure-policy").args(arguments);
    let output = command.output().ok();
    if output.is_none() {
        lacking("what another OCI client says: there is no skopeo");
    }
    output
}
