//! Publishing: the story. Everything that the author says is checked again here before anything
//! is kept, and the log's transaction is the moment at which the version exists.

use semver::Version;
use soma_capability::{CapsuleName, Name};
use soma_registry::api::{Published, Review, TokenScope};
use soma_registry::{Change, Envelope, MAX_FILE_BYTES, Package, PackageError, SignedChange};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Caller;
use crate::db::{self, packages, reviews};
use crate::error::Error;
use crate::names::{WELL_USED, near, skeleton};
use crate::publication::Publication;

/// Of one namespace so many publications may wait for a look.
const MOST_HELD: i64 = 10;

/// What an author sends in one request.
pub(crate) struct Offer {
    pub(crate) statement: Envelope,
    pub(crate) change: Envelope,
    pub(crate) file: Vec<u8>,
}

/// Publishes an offer, or holds it where a name needs a look.
pub(crate) async fn publish(app: &App, caller: &Caller, offer: Offer) -> Result<Published, Error> {
    let signed = SignedChange::open(&offer.change, app.log.origin())?;
    let (capsule, version) = published(&signed.request.change)?;
    let is_new = authorise(app, caller, capsule).await?;
    // The cheap refusals come before the expensive checks.
    let release = app.log.rehearse(&signed, &caller.account).await?;
    let release = release.ok_or_else(not_a_publication)?;
    let package = read(offer.file).await?;
    fits(&package, &signed.request.change)?;
    let publication = Publication::checked(&package, &offer.statement, &release, None)?;
    let tools = soma_runtime::describe(package.bytes(), &app.compiler).await?;
    if !package.describes(&tools) {
        return Err(Error::Lies);
    }

    let _settling = app.settling.read().await;
    app.blobs
        .put(&package.digest(), package.bytes().to_vec().into())
        .await?;
    if is_new && let Some(reason) = suspicion(app, capsule).await? {
        let about = Review {
            id: Uuid::now_v7().to_string(),
            capsule: capsule.clone(),
            version: version.clone(),
            digest: package.digest(),
            account: Some(release.account),
            reason,
            since: db::now(),
        };
        let held = reviews::Held {
            about,
            statement: offer.statement,
            change: offer.change,
        };
        return hold(app, held).await;
    }
    log(app, offer.change, &caller.account, &publication).await
}

/// Publishes what was held, as if its author sent it now: keys may have changed since.
pub(crate) async fn approve(app: &App, id: &str) -> Result<Published, Error> {
    let held = reviews::get(&app.pool, id).await?;
    let held = held.ok_or_else(|| Error::NotFound(format!("review `{id}`")))?;
    let account = held.about.account.as_ref().ok_or_else(|| {
        Error::Conflict(
            "whose login it came with was not kept at that time: refuse it, and have it published \
             again"
                .to_owned(),
        )
    })?;
    let signed = SignedChange::open(&held.change, app.log.origin())?;
    let release = app.log.rehearse(&signed, account).await?;
    let release = release.ok_or_else(not_a_publication)?;
    let _settling = app.settling.read().await;
    let file = app.blobs.get(&held.about.digest).await?;
    let package = read(file.into()).await?;
    let publication = Publication::checked(&package, &held.statement, &release, Some(id))?;
    log(app, held.change, account, &publication).await
}

async fn log(
    app: &App,
    change: Envelope,
    account: &Name,
    publication: &Publication<'_>,
) -> Result<Published, Error> {
    let appended = app.log.append(change, account, Some(publication)).await?;
    app.metrics.published.inc();
    Ok(Published::Published {
        leaf: appended.leaf,
    })
}

fn published(change: &Change) -> Result<(&CapsuleName, &Version), Error> {
    match change {
        Change::Publish {
            capsule, version, ..
        } => Ok((capsule, version)),
        _ => Err(not_a_publication()),
    }
}

fn not_a_publication() -> Error {
    Error::BadRequest("the change is not a publication: send others to /v1/changes".to_owned())
}

/// Whether the token is good for this capsule, which it says is new or not.
async fn authorise(app: &App, caller: &Caller, capsule: &CapsuleName) -> Result<bool, Error> {
    let mut connection = app.pool.acquire().await?;
    let is_new = packages::downloads(&mut connection, capsule)
        .await?
        .is_none();
    let scope = if is_new {
        TokenScope::PublishNew
    } else {
        TokenScope::PublishUpdate
    };
    caller.require(scope, &capsule.publisher())?;
    Ok(is_new)
}

/// Reading checks schemas and hashes up to 64 MiB: not for a thread that serves others.
async fn read(file: Vec<u8>) -> Result<Package, Error> {
    if file.len() > MAX_FILE_BYTES {
        return Err(PackageError::TooLarge(file.len()).into());
    }
    tokio::task::spawn_blocking(move || Package::read(file))
        .await
        .map_err(|error| Error::Log(error.to_string()))?
        .map_err(Error::from)
}

/// Whether the change is about this very file.
fn fits(package: &Package, change: &Change) -> Result<(), Error> {
    let manifest = package.manifest();
    let differs = |part| {
        Err(Error::BadRequest(format!(
            "the change names another {part} than the file has"
        )))
    };
    match change {
        Change::Publish { capsule, .. } if *capsule != manifest.name => differs("capsule"),
        Change::Publish { version, .. } if *version != manifest.version => differs("version"),
        Change::Publish { digest, .. } if *digest != package.digest() => differs("digest"),
        _ => Ok(()),
    }
}

/// Why somebody should look first.
async fn suspicion(app: &App, capsule: &CapsuleName) -> Result<Option<String>, Error> {
    let mut connection = app.pool.acquire().await?;
    let well_used = packages::well_used(&mut connection, WELL_USED).await?;
    Ok(near(capsule, &well_used).map(|other| {
        format!("`{capsule}` could be taken for the well-used `{other}` of another publisher")
    }))
}

async fn hold(app: &App, held: reviews::Held) -> Result<Published, Error> {
    let about = &held.about;
    let (capsule, version) = (&about.capsule, &about.version);
    let mut connection = app.pool.acquire().await?;
    if let Some(review) = reviews::of(&mut connection, capsule, version).await? {
        return Err(Error::Conflict(format!(
            "{capsule} {version} waits for a look already, as review {review}"
        )));
    }
    if reviews::waiting(&mut connection, capsule.namespace()).await? >= MOST_HELD {
        return Err(Error::Forbidden(format!(
            "{MOST_HELD} publications of `{}` wait for a look already",
            capsule.namespace()
        )));
    }
    reviews::insert(&mut connection, &held).await?;
    tracing::warn!(%capsule, reason = about.reason, "held for review");
    Ok(Published::Held {
        review: held.about.id,
        reason: held.about.reason,
    })
}

/// Whether anybody but an operator may create this namespace: it is reserved, or looks like one that
/// is.
pub(crate) fn is_reserved(app: &App, namespace: &Name) -> bool {
    let own = app.config.reserved.iter().map(Name::as_str);
    let mut all = RESERVED.iter().copied().chain(own);
    let wanted = skeleton(namespace.as_str());
    all.any(|reserved| skeleton(reserved) == wanted)
}

/// Names that would be taken for the system's own: `local` is what unpublished capsules use.
const RESERVED: &[&str] = &[
    "local", "admin", "official", "registry", "system", "test", "tests",
];
