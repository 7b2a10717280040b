//! Which version of which marketplace: from what follows from the log, by the trust policy.

use std::sync::Arc;

use soma_capability::Name;
use soma_registry::{Check, Namespace, Release, Standing};

use super::Wanted;
use crate::app::App;
use crate::catalog::elsewhere;
use crate::db::logs::Followed;
use crate::db::pins::{self, Pin};
use crate::db::releases;
use crate::distrust::Distrust;
use crate::error::Error;
use crate::follow;
use crate::logs::{self, Source};
use crate::trust::Trust;

/// A version to fetch.
pub(super) struct Chosen {
    pub(super) source: Arc<Source>,
    pub(super) release: Release,
    pub(super) namespace: Namespace,
    pub(super) checks: Vec<Check>,
}

/// A marketplace that has the package.
struct Offer {
    source: Arc<Source>,
    followed: Followed,
    releases: Vec<Release>,
}

/// Catches up with the logs that come into question, and chooses.
pub(super) async fn choose(app: &App, wanted: &Wanted, trust: &Trust) -> Result<Chosen, Error> {
    let publisher = wanted.package.publisher();
    if !trust.admits(&publisher) {
        return Err(Distrust::Publisher(publisher).into());
    }
    follow::reload(app).await?;
    let pin = pins::get(&mut *app.pool.acquire().await?, &publisher).await?;
    let mut offers = Vec::new();
    for source in candidates(app, wanted, pin.as_ref(), &publisher)? {
        offers.push(offer(app, source, wanted, trust).await?);
    }
    offers.retain(|offer| !offer.releases.is_empty());
    let offer = match (offers.pop(), offers.is_empty()) {
        (None, _) => return Err(unknown(wanted, "no marketplace of this host has it").into()),
        (Some(offer), true) => offer,
        (Some(last), false) => {
            let all = offers.iter().chain([&last]);
            let urls = all.map(|offer| offer.source.client.url().to_string());
            let urls = urls.collect::<Vec<_>>().join(", ");
            return Err(Distrust::Ambiguous(wanted.package.clone(), urls).into());
        }
    };
    let mut checks = admit_log(&offer.followed, trust)?;
    let release = newest(offer.releases, wanted, trust)?;
    let namespace = owned(app, &offer.source, &publisher, pin.as_ref()).await?;
    let leaf = release.leaf;
    let found = format!(
        "{} {}, leaf {leaf}, not revoked",
        release.capsule, release.version
    );
    checks.push(check("index", found));
    Ok(Chosen {
        source: offer.source,
        release,
        namespace,
        checks,
    })
}

/// The marketplaces to ask: the one that is named, or the one that the namespace is pinned to, or
/// all.
fn candidates(
    app: &App,
    wanted: &Wanted,
    pin: Option<&Pin>,
    publisher: &Name,
) -> Result<Vec<Arc<Source>>, Error> {
    let all = app.logs.sources();
    let is_named = |source: &&Arc<Source>| {
        let (url, origin) = (wanted.marketplace.as_ref(), wanted.origin.as_ref());
        url.is_none_or(|url| url == source.client.url())
            && origin.is_none_or(|origin| origin == source.client.origin())
    };
    let named: Vec<_> = all.iter().filter(is_named).cloned().collect();
    if named.is_empty() {
        let words = match (&wanted.marketplace, &wanted.origin) {
            (Some(url), _) => format!("this host knows no marketplace at {url}"),
            (None, Some(origin)) => format!("this host knows no log `{origin}`"),
            (None, None) => "this host knows no marketplace".to_owned(),
        };
        let words = format!("{words}: `soma marketplace add URL --key VKEY` adds one");
        return Err(Distrust::Unknown(words).into());
    }
    let Some(pin) = pin else {
        return Ok(named);
    };
    let is_pinned = |source: &Arc<Source>| source.log() == pin.log;
    let pinned: Vec<_> = named.into_iter().filter(is_pinned).collect();
    if pinned.is_empty() {
        return Err(elsewhere(publisher.clone(), &pin.log).into());
    }
    Ok(pinned)
}

async fn offer(
    app: &App,
    source: Arc<Source>,
    wanted: &Wanted,
    trust: &Trust,
) -> Result<Offer, Error> {
    let followed = follow::look(&app.logs, &source, trust).await?;
    let mut connection = app.pool.acquire().await?;
    let releases = releases::of_capsule(&mut connection, &source.log(), &wanted.package).await?;
    Ok(Offer {
        source,
        followed,
        releases,
    })
}

/// Whether a log may be installed from at this moment.
fn admit_log(followed: &Followed, trust: &Trust) -> Result<Vec<Check>, Error> {
    let origin = followed.key.origin();
    let undated = || Distrust::Undated(origin.to_owned());
    let checkpoint = followed.checkpoint.as_ref().ok_or_else(undated)?;
    let found = trust.witnessed(checkpoint);
    if found < trust.witnesses_required {
        return Err(Distrust::Unwitnessed {
            origin: origin.to_owned(),
            found,
            required: trust.witnesses_required,
        }
        .into());
    }
    let fresh = logs::fresh(followed, trust);
    if trust.is_silent(fresh, logs::now()) {
        return Err(logs::silent(origin, fresh, trust).into());
    }
    let age = logs::now().saturating_sub(fresh.unwrap_or(0));
    Ok(vec![
        check(
            "log",
            format!(
                "{origin} followed to {} leaves, {age} s old",
                checkpoint.size()
            ),
        ),
        check(
            "witnesses",
            format!("{found} of {} required", trust.witnesses_required),
        ),
    ])
}

/// The newest version that fits; where none does, why.
fn newest(releases: Vec<Release>, wanted: &Wanted, trust: &Trust) -> Result<Release, Error> {
    let fits = |release: &Release| {
        let version = wanted.version.as_ref();
        version.is_none_or(|wanted| wanted.matches(&release.version))
            && wanted.digest.is_none_or(|digest| digest == release.digest)
            // Where nothing is said, what is not meant for everybody is not chosen.
            && (version.is_some() || wanted.digest.is_some() || release.version.pre.is_empty())
    };
    let mut fitting: Vec<Release> = releases.into_iter().filter(fits).collect();
    fitting.sort_by(|a, b| b.version.cmp(&a.version));
    let now = logs::now();
    let mut refusal = unknown(wanted, "no version in the log fits");
    for release in fitting {
        let age = now.saturating_sub(release.published);
        match &release.standing {
            Standing::Revoked(revocation) => {
                // Said only where nothing else fits: the first reason is the newest version's.
                if matches!(refusal, Distrust::Unknown(_)) {
                    refusal = Distrust::Revoked {
                        capsule: release.capsule,
                        version: release.version,
                        by: if revocation.marketplace {
                            "the marketplace"
                        } else {
                            "its publisher"
                        },
                        reason: revocation.reason.clone(),
                    };
                }
            }
            Standing::Yanked if wanted.digest.is_none() => {
                if matches!(refusal, Distrust::Unknown(_)) {
                    refusal = unknown(wanted, "every version that fits is yanked");
                }
            }
            Standing::Current | Standing::Yanked if age < trust.minimum_age => {
                refusal = Distrust::TooYoung {
                    capsule: release.capsule,
                    version: release.version,
                    age,
                    minimum: trust.minimum_age,
                };
            }
            Standing::Current | Standing::Yanked => return Ok(release),
        }
    }
    Err(refusal.into())
}

/// The namespace, whose owners have or had the keys that were pinned: in a log that goes on from
/// where it was, no key is ever gone.
async fn owned(
    app: &App,
    source: &Source,
    publisher: &Name,
    pin: Option<&Pin>,
) -> Result<Namespace, Error> {
    let mut connection = app.pool.acquire().await?;
    let key = source.client.key();
    let namespace = releases::namespace(&mut connection, key, publisher).await?;
    let namespace = namespace.unwrap_or_default();
    let pinned = pin.map_or(&[][..], |pin| &pin.keys);
    if pinned.iter().all(|key| namespace.key(key).is_some()) {
        return Ok(namespace);
    }
    Err(Distrust::OtherOwners(publisher.clone()).into())
}

fn unknown(wanted: &Wanted, why: &str) -> Distrust {
    let version = wanted.version.as_ref();
    let version = version.map_or_else(String::new, |version| format!(" {version}"));
    let digest = wanted.digest.as_ref();
    let digest = digest.map_or_else(String::new, |digest| format!(" with the digest {digest}"));
    Distrust::Unknown(format!("{}{version}{digest}: {why}", wanted.package))
}

fn check(what: &'static str, found: String) -> Check {
    Check { what, found }
}
