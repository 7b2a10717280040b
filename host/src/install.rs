//! The story of one installation: what the trust policy says, what the log says, whether the file
//! is the one that it says it of, and only then the catalogue.

mod brought;
mod choose;
mod prove;

use std::time::{Duration, Instant};

use semver::VersionReq;
use serde::{Deserialize, Serialize};
use soma_capability::{CapsuleName, Digest};
use soma_registry::{Bundle, Check};

pub(crate) use self::brought::{Brought, FORM};
use self::choose::{Chosen, choose};
use self::prove::prove;
use crate::app::App;
use crate::catalog::{Done, Fresh, Proof};
use crate::db::capsules::Logged;
use crate::distrust::Distrust;
use crate::error::Error;
use crate::trust::Trust;

/// What is wanted from a marketplace.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// `namespace/name`.
    pub(crate) package: CapsuleName,
    /// Which versions will do; none is any.
    #[serde(default)]
    pub(crate) version: Option<VersionReq>,
    /// The very file, as a lockfile has it: a yanked version will do then.
    #[serde(default)]
    pub(crate) digest: Option<Digest>,
    /// The one marketplace to ask, by its address.
    #[serde(default)]
    pub(crate) marketplace: Option<url::Url>,
    /// The origin of the one log that will do, as a lockfile has it.
    #[serde(default)]
    pub(crate) origin: Option<String>,
    /// Everything but the installation: to see what would come.
    #[serde(default)]
    pub(crate) preview: bool,
}

impl Wanted {
    /// This very file, which is of one version.
    pub(crate) fn exactly(package: CapsuleName, digest: Digest) -> Self {
        Self {
            package,
            version: None,
            digest: Some(digest),
            marketplace: None,
            origin: None,
            preview: false,
        }
    }
}

/// How long the parts of an installation took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Timings {
    /// Catching up with the log.
    log_ms: f64,
    /// Fetching file and bundle.
    fetch_ms: f64,
    /// Reading the file, and proving that it is the right one.
    verify_ms: f64,
    /// Compiling it.
    compile_ms: f64,
}

/// What came, proven.
pub(crate) struct Arrived {
    pub(crate) fresh: Fresh,
    pub(crate) proof: Proof,
    pub(crate) checks: Vec<Check>,
    pub(crate) timings: Timings,
}

/// Installs a file that no log has, where the policy allows it. To be finished once begun.
pub(crate) async fn from_file(app: &App, tenant: &str, file: Vec<u8>) -> Result<Done, Error> {
    let fresh = app.catalog.read(file).await?;
    let row = fresh.about.row(fresh.package.bytes(), None);
    if let Some(revoked) = app.logs.revocation(&row) {
        return Err(revoked.into());
    }
    let live = app.in_force();
    let catalog = &app.catalog;
    catalog.install(tenant, fresh, None, &live.settings).await
}

/// Goes on where files that no log has may be installed.
pub(crate) fn admit_file(trust: &Trust) -> Result<(), Error> {
    if trust.unlogged {
        return Ok(());
    }
    Err(Distrust::Unlogged.into())
}

/// Fetches the newest version that fits and that the policy admits, and proves it.
pub(crate) async fn fetch(app: &App, wanted: &Wanted) -> Result<Arrived, Error> {
    let trust = app.live().settings.trust.clone();
    let begin = Instant::now();
    let chosen = choose(app, wanted, &trust).await?;
    let log_ms = milliseconds(begin.elapsed());

    let begin = Instant::now();
    let (capsule, version) = (&chosen.release.capsule, &chosen.release.version);
    let client = &chosen.source.client;
    let fetched = tokio::try_join!(
        client.capsule(capsule, version),
        client.bundle(capsule, version)
    );
    let (file, bundle) = fetched.map_err(Distrust::from)?;
    let fetch_ms = milliseconds(begin.elapsed());

    let begin = Instant::now();
    let fresh = app.catalog.read(file).await.map_err(|error| match error {
        // Not the client's: it sent none.
        Error::Package(error) => Distrust::NoCapsule(error).into(),
        error => error,
    })?;
    let mut arrived = arrive(chosen, fresh, vec![bundle]).await?;
    arrived.timings = Timings {
        log_ms,
        fetch_ms,
        verify_ms: milliseconds(begin.elapsed()),
        compile_ms: 0.0,
    };
    Ok(arrived)
}

/// Proves a file that was brought here by what a log has of its name and version: as good as if it
/// had been fetched from the marketplace, which only its log is asked of.
pub(crate) async fn prove_brought(app: &App, brought: Brought) -> Result<Arrived, Error> {
    let trust = app.live().settings.trust.clone();
    let Brought { file, bundles } = brought;
    let begin = Instant::now();
    let fresh = app.catalog.read(file).await?;
    let read = begin.elapsed();

    let begin = Instant::now();
    let name = fresh.about.manifest.name.clone();
    let wanted = Wanted::exactly(name, fresh.about.digest);
    let chosen = choose(app, &wanted, &trust).await?;
    let log_ms = milliseconds(begin.elapsed());

    let begin = Instant::now();
    let arrived = arrive(chosen, fresh, bundles).await;
    let mut arrived = arrived.map_err(|error| match error {
        Error::Distrust(why) => Distrust::Brought(why).into(),
        error => error,
    })?;
    arrived.timings = Timings {
        log_ms,
        fetch_ms: 0.0,
        verify_ms: milliseconds(read + begin.elapsed()),
        compile_ms: 0.0,
    };
    Ok(arrived)
}

async fn arrive(chosen: Chosen, fresh: Fresh, bundles: Vec<Bundle>) -> Result<Arrived, Error> {
    let Chosen {
        source,
        release,
        namespace,
        mut checks,
    } = chosen;
    let proof = Proof {
        logged: Logged {
            log: source.log(),
            leaf: release.leaf,
            owners_since: Some(namespace.owners_since),
        },
        keys: namespace.keys().copied().collect(),
        published: release.published,
    };
    let proven = prove(fresh, bundles, source.client.key().clone(), release).await?;
    checks.extend(proven.checks);
    Ok(Arrived {
        fresh: proven.fresh,
        proof,
        checks,
        timings: Timings::default(),
    })
}

/// Installs what was fetched. To be finished once begun.
pub(crate) async fn finish(
    app: &App,
    tenant: &str,
    arrived: Arrived,
) -> Result<(Done, Vec<Check>, Timings), Error> {
    let Arrived {
        fresh,
        proof,
        checks,
        mut timings,
    } = arrived;
    let live = app.in_force();
    let catalog = &app.catalog;
    let done = catalog.install(tenant, fresh, Some(proof), &live.settings);
    let done = done.await?;
    timings.compile_ms = milliseconds(done.compiled);
    Ok((done, checks, timings))
}

/// To a tenth.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
