//! Newer versions of what is installed: which there are, and those that serve without anybody's
//! word where the policy lets a publisher's through.

use semver::Version;
use soma_registry::Release;
use sqlx::AnyConnection;

use crate::app::{App, AppState};
use crate::audit::Entry;
use crate::catalog::{Change, Installed, Shelf};
use crate::consent::Reason;
use crate::db::capsules::Installation;
use crate::db::releases;
use crate::db::tenants::{self, Tenant};
use crate::error::Error;
use crate::finished::Finished;
use crate::install::{self, Wanted};
use crate::logs;

/// The newest version that may be chosen in the place of an installed one, of those that have been
/// in its log for so many seconds; none where none is newer.
pub(crate) async fn newest(
    connection: &mut AnyConnection,
    installed: &Installed,
    minimum_age: u64,
) -> Result<Option<Release>, Error> {
    let Some(log) = installed.row.log() else {
        return Ok(None);
    };
    let version = &installed.about.manifest.version;
    let releases = releases::of_capsule(connection, log, &installed.row.name).await?;
    let newer = releases.into_iter().filter(|release| {
        release.standing.is_current()
            && (release.version.pre.is_empty() || !version.pre.is_empty())
            && logs::now().saturating_sub(release.published) >= minimum_age
            && release.version > *version
    });
    Ok(newer.max_by(|a, b| a.version.cmp(&b.version)))
}

/// Looks for automatic updates until it is dropped, as often as logs are looked at.
pub(crate) async fn run(app: AppState) {
    loop {
        let interval = app.live().settings.trust.revocation_interval;
        tokio::time::sleep(interval).await;
        if let Err(error) = round(&app).await {
            tracing::error!(%error, "automatic updates could not be looked for");
        }
    }
}

async fn round(app: &AppState) -> Result<(), Error> {
    if app.live().settings.trust.automatic.publishers.is_empty() {
        return Ok(());
    }
    for tenant in tenants::list(&app.pool).await? {
        for installed in app.catalog.list(&tenant.id).await? {
            if let Err(error) = update(app, &tenant, &installed).await {
                let capsule = &installed.row.name;
                tracing::warn!(tenant = tenant.name, %capsule, %error, "no automatic update");
            }
        }
    }
    Ok(())
}

async fn update(app: &AppState, tenant: &Tenant, installed: &Installed) -> Result<(), Error> {
    let live = app.in_force();
    let trust = &live.settings.trust;
    let name = &installed.row.name;
    if !trust.automatic.admits(&name.publisher()) {
        return Ok(());
    }
    let age = trust.automatic.age.max(trust.minimum_age);
    let newest = newest(&mut *app.pool.acquire().await?, installed, age).await?;
    let Some(newest) = newest else {
        return Ok(());
    };
    let shelf = {
        let _steady = app.catalog.steady().await;
        app.catalog.shelf(&tenant.id, name).await?
    };
    let Some(shelf) = shelf else {
        return Ok(());
    };
    if waits_for_a_word(&shelf, &newest.version) {
        return Ok(());
    }
    let wanted = Wanted::exactly(name.clone(), newest.digest);
    let arrived = install::fetch(app, &wanted).await?;
    let finish = {
        let (app, tenant) = (app.clone(), tenant.clone());
        async move {
            let (done, ..) = install::finish(&app, &tenant.id, arrived).await?;
            let entry = Entry::by_host(Some(&tenant.name), done.event(None));
            app.audit.record(&entry).await?;
            Ok::<_, Error>(done)
        }
    };
    let done = Finished::new(finish).await?;
    let (capsule, version) = (name, &newest.version);
    match done.change {
        Change::Held => {
            let reasons = done.reasons;
            tracing::warn!(tenant = tenant.name, %capsule, %version, ?reasons, "an update is held");
        }
        _ => tracing::info!(tenant = tenant.name, %capsule, %version, "updated"),
    }
    Ok(())
}

/// Whether a version has been held already, or a newer one, for a reason that only somebody's word
/// settles; or was gone back from.
fn waits_for_a_word(shelf: &Shelf, newest: &Version) -> bool {
    let rolled_back = shelf.rolled_back.as_ref();
    rolled_back.is_some_and(|from| newest <= from)
        || shelf.held.as_ref().is_some_and(|held| {
            held.version >= *newest && !held.reasons.iter().copied().all(Reason::is_passing)
        })
}

/// Whether a word is given to what the log has revoked meanwhile.
pub(crate) fn admit(app: &App, row: &Installation) -> Result<(), Error> {
    app.logs
        .revocation(row)
        .map_or(Ok(()), |revoked| Err(revoked.into()))
}
