//! `soma store`: what a capsule keeps from call to call.

use reqwest::Method;
use serde_json::{Value, json};

use super::grant::Target;
use crate::client::{Body, Client, LocalKey};
use crate::failure::Failure;
use crate::passphrase;
use crate::screen::{Screen, strong};

#[derive(clap::Subcommand)]
pub(crate) enum StoreCommand {
    /// Show how full a capsule's store is
    #[command(after_help = "Example:\n  soma store show acme/weather")]
    Show(Target),
    Clear(Clear),
}

/// Forget everything that a capsule keeps, for good
#[derive(clap::Args)]
#[command(after_help = "Example:\n  soma store clear acme/weather --yes")]
pub(crate) struct Clear {
    #[command(flatten)]
    target: Target,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl StoreCommand {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        match self {
            Self::Show(target) => show(&target, screen).await,
            Self::Clear(clear) => clear.run(screen).await,
        }
    }
}

async fn show(target: &Target, screen: Screen) -> Result<(), Failure> {
    let store = send(target, Method::GET).await?;
    let number = |member: &str| store[member].as_u64();
    let used = number("used_bytes").unwrap_or_default();
    let entries = number("entries").unwrap_or_default();
    screen.show(&store, |out| {
        write!(out, "{}: ", strong(&target.capsule.to_string()))?;
        match number("quota_bytes") {
            Some(quota) => writeln!(out, "{used} of {quota} bytes used, {entries} entries"),
            None => writeln!(
                out,
                "no store that it may use; {used} bytes kept, {entries} entries"
            ),
        }
    })
}

impl Clear {
    async fn run(self, screen: Screen) -> Result<(), Failure> {
        let capsule = &self.target.capsule;
        passphrase::agree(self.yes, &format!("Forget all that {capsule} keeps?"))?;
        send(&self.target, Method::DELETE).await?;
        screen.show(&json!({"cleared": capsule}), |out| {
            writeln!(out, "{capsule} keeps nothing any more")
        })
    }
}

async fn send(target: &Target, method: Method) -> Result<Value, Failure> {
    let client = Client::new(target.host.clone(), LocalKey::Admin)?;
    let (namespace, name) = (target.capsule.namespace(), target.capsule.name());
    let path = ["admin", "stores", namespace, name];
    client
        .send_with(method, &path, &target.query(), Body::None)
        .await
}
