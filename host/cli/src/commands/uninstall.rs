//! `soma uninstall`: a capsule off a host.

use reqwest::Method;
use serde_json::json;
use soma_capability::CapsuleName;

use crate::client::{Body, Client, HostArgs, LocalKey};
use crate::failure::Failure;
use crate::screen::Screen;

/// Uninstall a capsule from a host
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma uninstall local/hello")]
pub(crate) struct Uninstall {
    /// NAMESPACE/NAME
    capsule: CapsuleName,

    #[command(flatten)]
    host: HostArgs,
}

impl Uninstall {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let client = Client::new(self.host, LocalKey::Admin)?;
        let path = ["capsules", self.capsule.namespace(), self.capsule.name()];
        client.send(Method::DELETE, &path, Body::None).await?;
        screen.show(&json!({"uninstalled": self.capsule}), |out| {
            writeln!(out, "uninstalled: {}", self.capsule)
        })
    }
}
