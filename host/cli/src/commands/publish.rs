//! `soma publish`: builds a project, signs what came out, and sends it.

mod oci;

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use soma_capability::Name;
use soma_registry::api::Published;
use soma_registry::{Change, ChangeRequest, Package, SecretKey, Statement};

use super::namespace;
use crate::failure::{Exit, Failure};
use crate::marketplace::{MarketplaceArgs, Session};
use crate::oci::{is_reference, reference};
use crate::passphrase;
use crate::project;
use crate::screen::{Screen, strong, visible};
use crate::signer::SignerArgs;

/// Publish a capsule in a marketplace, or in an OCI registry: build it, sign it, send it
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma publish
  soma publish target/capsule/weather.wasm
  SOMA_TOKEN=… soma publish --key-file ci.key --yes
  soma publish target/capsule/weather.wasm oci://ghcr.io/acme/weather

To an OCI registry goes what a marketplace has of it too, so that hosts install it from there as they
do from the marketplace; publish there first.

A version is for ever: it can be yanked or revoked, and never be replaced.")]
pub(crate) struct Publish {
    /// A project's folder, which is built first, or a capsule file
    #[arg(default_value = ".")]
    path: PathBuf,

    /// An OCI registry's repository, with or without a tag, to push it to; the marketplace is asked
    /// for its proof alone. `docker login` and its like say who one is there
    #[arg(value_name = "oci://HOST/REPOSITORY[:TAG]")]
    to: Option<String>,

    /// Take the namespace without asking, where nobody has it
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

impl Publish {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        if let Some((path, to)) = self.registry() {
            let to = reference(to)?;
            let package = project::open(path, screen).await?.package;
            return oci::push(&package, &to, &self.signer, self.marketplace, screen).await;
        }
        let session = self.marketplace.sign_in().await?;
        // Before anything is built: a token that opens nothing is told of at once.
        session.marketplace.account().await?;
        let package = project::open(&self.path, screen).await?.package;
        let key = self.signer.key()?;
        let publisher = package.manifest().name.publisher();
        ensure_namespace(&session, &publisher, &key, self.yes, screen).await?;
        send(&session, package, &key, screen).await
    }

    /// What goes to which registry, where one is named: alone, it is in the first place.
    fn registry(&self) -> Option<(&Path, &str)> {
        match (&self.to, self.path.to_str()) {
            (Some(to), _) => Some((&self.path, to)),
            (None, Some(to)) if is_reference(to) => Some((Path::new("."), to)),
            _ => None,
        }
    }
}

/// Takes the namespace where nobody has it, after asking.
async fn ensure_namespace(
    session: &Session,
    name: &Name,
    key: &SecretKey,
    yes: bool,
    screen: Screen,
) -> Result<(), Failure> {
    match session.marketplace.namespace(name).await {
        Ok(info) => {
            let holder = info.state.key(&key.public());
            return match holder {
                Some((_, standing)) if standing.revoked.is_none() => Ok(()),
                _ => Err(Failure::new(
                    Exit::NotAllowed,
                    format_args!("the key {} is not one of an owner of {name}", key.public()),
                )
                .hint("choose another with --signing-key, or ask an owner to invite you")),
            };
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let account = session.account()?;
    let question = format!("Nobody has the namespace {name}. Take it, as {account}?");
    passphrase::agree(yes, &question)?;
    let leaf = namespace::create(session, name, key).await?;
    screen.step("Created", &format!("the namespace {name} (leaf {leaf})"));
    Ok(())
}

async fn send(
    session: &Session,
    package: Package,
    key: &SecretKey,
    screen: Screen,
) -> Result<(), Failure> {
    let manifest = package.manifest().clone();
    let digest = package.digest();
    let statement = Statement::about(&package);
    let signed = statement.sign(key).map_err(Failure::failed)?;
    let change = Change::Publish {
        capsule: manifest.name.clone(),
        version: manifest.version.clone(),
        digest,
        statement: statement.digest().map_err(Failure::failed)?,
    };
    let origin = session.marketplace.origin();
    let request = ChangeRequest::new(origin, change);
    let change = request.sign(&[key]).map_err(Failure::failed)?;
    let address = format!("{}@{}", manifest.name, manifest.version);
    screen.step("Publishing", &address);
    let bytes = package.into_bytes();
    let bar = progress_bar(bytes.len(), screen);
    let moved = bar.clone();
    let answer = session
        .marketplace
        .publish(&signed, &change, bytes, move |sent| {
            moved.set_position(sent);
            if Some(sent) == moved.length() {
                moved.set_message("the marketplace checks it");
            }
        });
    let answer = answer.await;
    bar.finish_and_clear();
    let answer = answer?;
    let url = session.marketplace.url();
    let value = json!({
        "package": address,
        "digest": digest,
        "marketplace": url,
        "log": origin,
        "outcome": answer,
    });
    screen.show(&value, |out| match &answer {
        Published::Published { leaf } => {
            writeln!(out, "{}", strong(&address))?;
            writeln!(out, "  digest       {digest}")?;
            writeln!(out, "  marketplace  {url}")?;
            writeln!(out, "  log          {origin}, leaf {leaf}")
        }
        Published::Held { review, reason } => {
            writeln!(out, "{} is held: {}", strong(&address), visible(reason))?;
            writeln!(
                out,
                "  its operator decides about review {}",
                visible(review)
            )
        }
    })
}

/// Shown on a terminal only, and not with `--json`.
fn progress_bar(length: usize, screen: Screen) -> ProgressBar {
    let target = if screen.json {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let bar = ProgressBar::with_draw_target(Some(length as u64), target);
    let template = "{wide_bar} {bytes}/{total_bytes} {msg}";
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
