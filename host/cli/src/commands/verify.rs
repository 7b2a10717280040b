//! `soma verify`: everything that can be checked about a published version, one by one.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use soma_registry::client::{Marketplace, Verified};
use soma_registry::log::LogKey;
use soma_registry::{
    Bundle, Check, MARKETPLACES_FILE, MAX_BUNDLE_BYTES, MAX_FILE_BYTES, Marketplaces, Package,
    PackageSpec, Release,
};

use crate::failure::{Exit, Failure};
use crate::marketplace::{DataArgs, MarketplaceArgs, choose};
use crate::named_file;
use crate::screen::{Screen, strong, visible};

/// Verify a published version: file, signature, log, and how it stands today
#[derive(clap::Args)]
#[command(after_help = "Examples:
  soma verify acme/weather@1.2.0
  soma verify acme/weather@1.2.0 --save .
  soma verify acme/weather@1.2.0 --offline weather-1.2.0.bundle --file weather-1.2.0.wasm

Online, the whole log is read and followed from its first leaf. Offline, it cannot be known whether
the version was revoked since its bundle was made.")]
pub(crate) struct Verify {
    /// NAMESPACE/NAME, or NAMESPACE/NAME@VERSION
    package: PackageSpec,

    /// Keep the file and its bundle in this folder, as NAME-VERSION.wasm and NAME-VERSION.bundle
    #[arg(long, value_name = "DIR", conflicts_with = "offline")]
    save: Option<PathBuf>,

    /// Ask nobody: the proof is in this bundle
    #[arg(long, value_name = "BUNDLE", requires = "file")]
    offline: Option<PathBuf>,

    /// The capsule's file, for --offline
    #[arg(long, value_name = "CAPSULE", requires = "offline")]
    file: Option<PathBuf>,

    /// The key of the log, for --offline [default: that of a marketplace that is known]
    #[arg(long, value_name = "VKEY", requires = "offline")]
    key: Option<LogKey>,

    #[command(flatten)]
    marketplace: MarketplaceArgs,
}

/// What was checked, and what came of it.
struct Verdict {
    release: Release,
    checks: Vec<Check>,
    /// Whether the release's standing is today's: somebody was asked.
    is_current: bool,
}

impl Verify {
    pub(crate) async fn run(self, screen: Screen) -> Result<(), Failure> {
        let verdict = match (&self.offline, &self.file) {
            (Some(bundle), Some(file)) => {
                let key = self.key;
                offline(&self.package, bundle, file, key, self.marketplace.data)?
            }
            _ => {
                let marketplace = self.marketplace.open().await?;
                online(&marketplace, &self.package, self.save.as_deref(), screen).await?
            }
        };
        show(&verdict, screen)?;
        match verdict.release.standing.revocation() {
            Some(revocation) => Err(Failure::failed(format_args!(
                "the version is as its author signed it, and it is revoked: {}",
                revocation.reason
            ))),
            None => Ok(()),
        }
    }
}

async fn online(
    marketplace: &Marketplace,
    spec: &PackageSpec,
    folder: Option<&Path>,
    screen: Screen,
) -> Result<Verdict, Failure> {
    let (_, chosen) = choose(marketplace, spec).await?;
    let verified = marketplace.verify(&chosen.capsule, &chosen.version).await?;
    if let Some(folder) = folder {
        save(&verified, folder, screen)?;
    }
    Ok(Verdict {
        checks: verified.checks,
        is_current: true,
        release: verified.release,
    })
}

/// What the offline check needs, once it is known to be good.
fn save(verified: &Verified, folder: &Path, screen: Screen) -> Result<(), Failure> {
    let release = &verified.release;
    let bundle = verified.bundle.to_bytes().map_err(Failure::failed)?;
    let stem = format!("{}-{}", release.capsule.name(), release.version);
    fs::create_dir_all(folder)
        .map_err(|e| Failure::usage(format_args!("cannot make {}: {e}", folder.display())))?;
    for (kind, bytes) in [("wasm", verified.package.bytes()), ("bundle", &bundle)] {
        let path = folder.join(format!("{stem}.{kind}"));
        fs::write(&path, bytes)
            .map_err(|e| Failure::usage(format_args!("cannot write {}: {e}", path.display())))?;
        screen.step("Saved", &path.display().to_string());
    }
    Ok(())
}

fn offline(
    spec: &PackageSpec,
    bundle: &Path,
    file: &Path,
    key: Option<LogKey>,
    data: DataArgs,
) -> Result<Verdict, Failure> {
    let package = read_package(read_file(file, MAX_FILE_BYTES)?)?;
    check_name(&package, spec)?;
    let bundle =
        Bundle::from_bytes(&read_file(bundle, MAX_BUNDLE_BYTES)?).map_err(Failure::usage)?;
    let key = match key {
        Some(key) => key,
        None => pinned(&bundle, data)?,
    };
    let proven = bundle.prove(&package, &key).map_err(Failure::failed)?;
    Ok(Verdict {
        checks: proven.checks,
        is_current: false,
        release: proven.release,
    })
}

/// The key of the log that the bundle's checkpoint names in its first line, where it is known.
fn pinned(bundle: &Bundle, data: DataArgs) -> Result<LogKey, Failure> {
    let known = Marketplaces::read(&data.path()?)?;
    let checkpoint = bundle.logged.as_ref().map(|logged| &logged.checkpoint);
    let origin = checkpoint.and_then(|text| text.lines().next());
    let pinned = origin.and_then(|origin| known.of(origin));
    pinned.map(|known| known.key.clone()).ok_or_else(|| {
        Failure::usage(format_args!(
            "the log of this bundle is not in {MARKETPLACES_FILE}"
        ))
        .hint("give its key with --key VKEY")
    })
}

fn read_package(bytes: Vec<u8>) -> Result<Package, Failure> {
    Package::read(bytes).map_err(|e| Failure::failed(format_args!("this is no capsule: {e}")))
}

/// What was asked about is what is proven something of.
fn check_name(package: &Package, spec: &PackageSpec) -> Result<(), Failure> {
    let manifest = package.manifest();
    let named = spec
        .version()
        .is_none_or(|version| *version == manifest.version);
    if manifest.name == spec.capsule && named {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format_args!(
            "the file says to be {} {}, not {spec}",
            manifest.name, manifest.version
        ),
    ))
}

fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let bytes = named_file::beginning(path, limit);
    let bytes = bytes.map_err(|e| Failure::unreadable(path, e))?;
    if bytes.len() > limit {
        return Err(Failure::usage(format_args!(
            "{} has over {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

fn show(verdict: &Verdict, screen: Screen) -> Result<(), Failure> {
    let release = &verdict.release;
    let standing = Some(&release.standing).filter(|_| verdict.is_current);
    let value = json!({
        "capsule": release.capsule,
        "version": release.version,
        "digest": release.digest,
        "checks": verdict.checks,
        "standing": standing,
    });
    screen.show(&value, |out| {
        let name = format!("{} {}", release.capsule, release.version);
        writeln!(out, "{}", strong(&name))?;
        for check in &verdict.checks {
            writeln!(out, "  {:<12} {}", check.what, visible(&check.found))?;
        }
        match standing {
            Some(_) => Ok(()),
            None => writeln!(out, "  {:<12} not known: nobody was asked", "standing"),
        }
    })
}
