//! `soma install`: a capsule file onto a host.

use std::path::PathBuf;

use reqwest::Method;

use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::project;
use crate::screen::{Screen, visible};

/// Install a capsule on a host
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  soma install target/capsule/hello.wasm\n  soma install .")]
pub(crate) struct Install {
    /// A capsule file, or a project folder, which is built first
    file: PathBuf,

    #[command(flatten)]
    host: HostArgs,
}

impl Install {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        let package = project::open(&self.file, screen).await?.package;
        let body = Body::Wasm(package.into_bytes());
        screen.step("Installing", "the host compiles and checks it");
        let installed = client.send(Method::POST, &["capsules"], body).await?;
        screen.show(&installed, |out| {
            let text = |member: &str| visible(installed[member].as_str().unwrap_or_default());
            let done = match installed["change"].as_str() {
                Some("unchanged") => "was installed already:",
                Some("replaced") => "installed in the place of another file:",
                _ => "installed:",
            };
            writeln!(out, "{done} {} {}", text("name"), text("version"))?;
            writeln!(out, "  {}", text("digest"))
        })
    }
}
