//! `soma install`: capsules onto a host, from a marketplace, an OCI registry or a file.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use soma_registry::oci::Reference;
use soma_registry::{Bundle, PackageSpec};
use url::Url;

use super::{approve, grant};
use crate::client::{Body, Client, HostArgs, LocalKey, of_tenant};
use crate::failure::Failure;
use crate::lockfile::{Locked, Lockfile};
use crate::oci;
use crate::project;
use crate::screen::{Screen, visible};

/// Install capsules on a host
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma install soma/jq
  soma install 'acme/weather@^1.2' --lock capsules.lock
  soma install --lock capsules.lock
  soma install oci://ghcr.io/acme/weather:1.2.0
  soma install target/capsule/hello.wasm
  soma install .
  soma install soma/jq --tenant acme

The host fetches a package itself and installs it where file, signature, log and its own trust
policy agree. From an OCI registry it is fetched here, as whoever is logged in there, and the host
installs it by the same rules. With --lock and names, what was installed is recorded; without names,
exactly what is recorded is installed.")]
pub(crate) struct Install {
    /// NAMESPACE/NAME or NAMESPACE/NAME@REQUIREMENT; oci://HOST/REPOSITORY:TAG or …@DIGEST; a
    /// capsule file (a path that exists, or ends in .wasm), or a project folder, which is built
    /// first
    #[arg(value_name = "WHAT", required_unless_present = "lock")]
    what: Vec<String>,

    /// File of exact versions: written with names, followed without
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,

    /// The marketplace to ask, by its address, where the host knows several
    #[arg(long, value_name = "URL")]
    marketplace: Option<Url>,

    /// Take what an OCI registry has without a marketplace's proof too, as if it were a file here
    #[arg(long, conflicts_with = "lock")]
    unlogged: bool,

    /// Where another file of the name serves, have this one serve in its place without being asked
    #[arg(long, short)]
    yes: bool,

    /// The tenant to install for, with a key that has the scope admin too [default: the key's own]
    #[arg(long)]
    tenant: Option<String>,

    #[command(flatten)]
    host: HostArgs,
}

/// One thing to install.
enum What {
    Path(PathBuf),
    Artifact(Reference),
    Package(PackageSpec),
}

impl Install {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let what: Vec<What> = self
            .what
            .iter()
            .map(|text| What::read(text))
            .collect::<Result<_, _>>()?;
        let mut lockfile = match &self.lock {
            Some(path) => Some(Lockfile::read(path, what.is_empty())?),
            None => None,
        };
        let is_file = |what: &What| matches!(what, What::Path(_));
        if lockfile.is_some() && what.iter().any(is_file) {
            return Err(Failure::usage(
                "a file has no place in a log, so --lock cannot name it",
            ));
        }
        let client = Client::new(self.host, LocalKey::Admin)?;
        let tenant = self.tenant.as_deref();
        let mut installed: Vec<Value> = Vec::new();
        if let (Some(lockfile), true) = (&lockfile, what.is_empty()) {
            for locked in lockfile.iter() {
                let done = install_locked(&client, tenant, locked, screen).await?;
                installed.push(approve::settle(&client, tenant, done, self.yes, screen).await?);
            }
        }
        for what in &what {
            let done = match what {
                What::Path(path) => install_file(&client, tenant, path, screen).await,
                What::Artifact(reference) => {
                    install_artifact(&client, tenant, reference, self.unlogged, screen).await
                }
                What::Package(spec) => {
                    let marketplace = self.marketplace.as_ref();
                    install_package(&client, tenant, spec, marketplace, screen).await
                }
            };
            let done = done.inspect_err(|_| {
                for done in &installed {
                    let (name, version) = (text(done, "name"), text(done, "version"));
                    screen.aside(&format!("installed before: {name} {version}"));
                }
            })?;
            if let (Some(lockfile), Some(path)) = (&mut lockfile, &self.lock) {
                lockfile.record(Locked::of(&done)?);
                lockfile.write(path)?;
            }
            installed.push(approve::settle(&client, tenant, done, self.yes, screen).await?);
        }
        show(&installed, screen)?;
        if !screen.json {
            // While an update is held, what serves asks for what it asked for before.
            let serving = installed.iter().filter(|done| done["change"] != "held");
            for capsule in serving {
                offer(&client, tenant, capsule, screen).await?;
            }
        }
        Ok(())
    }
}

/// What it asks for and has not got is the next thing to decide.
async fn offer(
    client: &Client,
    tenant: Option<&str>,
    installed: &Value,
    screen: Screen,
) -> Result<(), Failure> {
    let asks = |asked: &Value| {
        asked["http"]
            .as_array()
            .is_some_and(|http| !http.is_empty())
            || asked["config"].is_array()
    };
    match serde_json::from_value(installed["name"].clone()) {
        Ok(name) if asks(&installed["capabilities"]) => {
            grant::offer(client, &name, tenant, screen).await
        }
        _ => Ok(()),
    }
}

impl What {
    fn read(text: &str) -> Result<Self, Failure> {
        if oci::is_reference(text) {
            return oci::reference(text).map(Self::Artifact);
        }
        let path = Path::new(text);
        if path.exists() || path.extension().is_some_and(|end| end == "wasm") {
            return Ok(Self::Path(path.to_owned()));
        }
        match text.parse() {
            Ok(spec) => Ok(Self::Package(spec)),
            Err(error) => Err(Failure::usage(format_args!(
                "`{text}` is neither a file nor NAMESPACE/NAME[@REQUIREMENT]: {error}"
            ))),
        }
    }
}

async fn install_file(
    client: &Client,
    tenant: Option<&str>,
    path: &Path,
    screen: Screen,
) -> Result<Value, Failure> {
    let package = project::open(path, screen).await?.package;
    let name = &package.manifest().name;
    screen.step(
        "Installing",
        &format!("{name}: the host compiles and checks it"),
    );
    post(client, tenant, Body::Wasm(package.into_bytes())).await
}

async fn install_artifact(
    client: &Client,
    tenant: Option<&str>,
    reference: &Reference,
    unlogged: bool,
    screen: Screen,
) -> Result<Value, Failure> {
    screen.step("Pulling", &reference.to_string());
    let pulled = oci::registry(reference)?.pull(reference).await?;
    let is_logged =
        |bundle: &Vec<u8>| Bundle::from_bytes(bundle).is_ok_and(|bundle| bundle.logged.is_some());
    let bundles: Vec<_> = pulled.bundles.into_iter().filter(is_logged).collect();
    let body = match (bundles.is_empty(), unlogged) {
        (false, _) => Body::Proven {
            capsule: pulled.package,
            bundles,
        },
        (true, true) => Body::Wasm(pulled.package),
        (true, false) => {
            return Err(Failure::failed(format_args!(
                "nothing at {reference} proves that its publisher published it in a marketplace"
            ))
            .hint("--unlogged installs it all the same, where the host takes such"));
        }
    };
    let words = format!("{reference}: the host verifies, compiles and checks it");
    screen.step("Installing", &words);
    post(client, tenant, body).await
}

async fn install_package(
    client: &Client,
    tenant: Option<&str>,
    spec: &PackageSpec,
    marketplace: Option<&Url>,
    screen: Screen,
) -> Result<Value, Failure> {
    let mut wanted = json!({"package": spec.capsule});
    // The host reads a bare version as a requirement.
    if let Some(version) = spec.version() {
        wanted["version"] = json!(format!("={version}"));
    } else if let Some((_, requirement)) = spec.to_string().split_once('@') {
        wanted["version"] = json!(requirement);
    }
    if let Some(url) = marketplace {
        wanted["marketplace"] = json!(url);
    }
    screen.step(
        "Installing",
        &format!("{spec}: the host fetches and verifies it"),
    );
    send(client, tenant, &wanted).await
}

async fn install_locked(
    client: &Client,
    tenant: Option<&str>,
    locked: &Locked,
    screen: Screen,
) -> Result<Value, Failure> {
    let path = ["capsules", locked.name.namespace(), locked.name.name()];
    // No marketplace has to be there for what is; what another tenant has is not shown here.
    if tenant.is_none()
        && let Ok(mut there) = client.get(&path, &[]).await
        && there["revoked"].is_null()
        && Locked::of(&there).is_ok_and(|found| found == *locked)
    {
        there["change"] = json!("unchanged");
        return Ok(there);
    }
    screen.step(
        "Installing",
        &format!("{} {}, as locked", locked.name, locked.version),
    );
    let mut wanted = locked.wanted();
    wanted["preview"] = json!(true);
    locked.require(&send(client, tenant, &wanted).await?)?;
    let installed = send(client, tenant, &locked.wanted()).await?;
    locked.require(&installed)?;
    Ok(installed)
}

/// Asks the host for an installation.
pub(super) async fn send(
    client: &Client,
    tenant: Option<&str>,
    wanted: &Value,
) -> Result<Value, Failure> {
    post(client, tenant, Body::Json(wanted.to_string())).await
}

async fn post(client: &Client, tenant: Option<&str>, body: Body) -> Result<Value, Failure> {
    let whose = of_tenant(tenant);
    client
        .send_with(Method::POST, &["capsules"], &whose, body)
        .await
}

fn show(installed: &[Value], screen: Screen) -> Result<(), Failure> {
    let value = match installed {
        [one] => one.clone(),
        several => json!({"installed": several}),
    };
    screen.show(&value, |out| {
        for capsule in installed {
            let done = match capsule["change"].as_str() {
                Some("unchanged") => "was installed already:",
                Some("replaced") => "installed in the place of another file:",
                Some("held") => "held until `soma approve`:",
                _ => "installed:",
            };
            let (name, version) = (text(capsule, "name"), text(capsule, "version"));
            let whose = match capsule["tenant"].as_str() {
                Some(soma_host::DEFAULT_TENANT) | None => String::new(),
                Some(tenant) => format!(" for the tenant {}", visible(tenant)),
            };
            writeln!(out, "{done} {name} {version}{whose}")?;
            writeln!(out, "  {}", text(capsule, "digest"))?;
            if let Some(leaf) = capsule["leaf"].as_u64() {
                writeln!(out, "  leaf {leaf} of {}", text(capsule, "origin"))?;
            }
        }
        Ok(())
    })
}

/// A text of an answer, as it can be shown.
fn text(answer: &Value, member: &str) -> String {
    visible(answer[member].as_str().unwrap_or_default())
}
