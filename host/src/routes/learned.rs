//! What a tenant's capsule sends while it is looked at, and the smallest grant of that, for
//! administrators. Looking allows nothing.

use std::collections::BTreeSet;
use std::slice;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use soma_capability::{
    CapsuleName, CredentialName, Grant, HttpCapability, HttpGrant, Operation, Settings,
};
use soma_runtime::{Lesson, Wanted};

use super::grants::{OfQuery, Target, find};
use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::Admin;
use crate::body::Document;
use crate::db::watches::{self, Watch};
use crate::error::Error;
use crate::path::CapsulePath;

/// A week: whoever forgets that it is on has it end.
const LONGEST_SECONDS: u32 = 7 * 24 * 60 * 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct For {
    seconds: u32,
}

/// When a capsule was looked at, what it did then, and the grant that follows.
#[derive(Serialize)]
pub(crate) struct Learned {
    capsule: CapsuleName,
    /// None where it never was.
    learning: Option<Learning>,
    requests: Vec<Seen>,
    /// The smallest grant of what the manifest asks for of it, with all that is granted now but
    /// requests.
    grant: Grant,
    /// What is asked for and cannot be part of a grant.
    nameless: Vec<String>,
    /// Credentials that the manifest asks for with some of it, and that the grant does not have with
    /// it: none is proposed that is not granted.
    credentials_left_out: BTreeSet<CredentialName>,
}

#[derive(Serialize)]
struct Learning {
    began_at: Timestamp,
    began_by: String,
    ends_at: Timestamp,
    is_on: bool,
    /// Whether there were more different requests than are kept.
    is_full: bool,
}

/// One request, and how it stands with it now.
#[derive(Serialize)]
struct Seen {
    method: String,
    origin: String,
    path: String,
    /// What it does there; none where its place says it all, or where it could not be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<Operation>,
    /// Whether it was allowed, once at least.
    allowed: bool,
    /// Whether the manifest asks for it.
    asked: bool,
    /// Whether the grant has it.
    granted: bool,
}

pub(crate) async fn get(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<Json<Learned>, Error> {
    let target = find(&app, &caller, &capsule, query).await?;
    app.watches.settle().await?;
    let watch = watches::get(&app.pool, &target.tenant.id, &capsule).await?;
    let watch = watch.filter(|watch| watch.is_of(target.installed.row.log()));
    Ok(Json(Learned::of(&app, &target, watch).await?))
}

pub(crate) async fn start(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
    Document(For { seconds }): Document<For>,
) -> Result<Json<Learned>, Error> {
    if !(1..=LONGEST_SECONDS).contains(&seconds) {
        let words = format!("`seconds` is 1 to {LONGEST_SECONDS}");
        return Err(Error::BadRequest(words));
    }
    let target = find(&app, &caller, &capsule, query).await?;
    let until = Timestamp::now() + SignedDuration::from_secs(seconds.into());
    let (tenant, log) = (&target.tenant.id, target.installed.row.log());
    let by = caller.key_id();
    let watch = watches::begin(&app.pool, tenant, &capsule, log, by, until).await?;
    app.watches.settle().await?;
    let (until, of) = (watch.ends_at, target.tenant.name.clone());
    tracing::warn!(%capsule, tenant = of, key = by, %until, "its requests are recorded");
    let event = Event::LearningStarted { capsule, of, until };
    app.audit.by(&caller, event).await?;
    Ok(Json(Learned::of(&app, &target, Some(watch)).await?))
}

pub(crate) async fn stop(
    State(app): State<AppState>,
    Admin(caller): Admin,
    CapsulePath(capsule): CapsulePath,
    query: OfQuery,
) -> Result<StatusCode, Error> {
    let target = find(&app, &caller, &capsule, query).await?;
    app.watches.settle().await?;
    if !watches::end(&app.pool, &target.tenant.id, &capsule).await? {
        let words = format!("the requests of `{capsule}` are not recorded");
        return Err(Error::Conflict(words));
    }
    app.watches.settle().await?;
    let of = target.tenant.name;
    tracing::warn!(%capsule, tenant = of, key = caller.key_id(), "its requests are not recorded any more");
    let event = Event::LearningStopped { capsule, of };
    app.audit.by(&caller, event).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Learned {
    async fn of(app: &App, target: &Target, watch: Option<Watch>) -> Result<Self, Error> {
        let installed = &target.installed;
        let asked = &installed.about.manifest.capabilities.http;
        let granted = app.grants.of(&target.tenant.id, installed).await?;
        let granted = granted.map(|granted| granted.grant.clone());
        let granted = granted.unwrap_or_default();
        let requests = match &watch {
            Some(watch) => watches::requests(&app.pool, &watch.id).await?,
            None => Vec::new(),
        };
        let is_asked = |wanted: &Wanted| wanted.is_asked_by(asked);
        let wanted = requests.iter().map(|(wanted, _)| wanted);
        let wanted: Vec<&Wanted> = wanted.filter(|wanted| is_asked(wanted)).collect();
        let Lesson { grant, nameless } = Lesson::of(wanted.iter().copied(), asked, &granted);
        let credentials_left_out = left_out(&wanted, asked, &grant.http);
        let seen = requests.iter().map(|(wanted, allowed)| Seen {
            method: wanted.method.clone(),
            origin: wanted.origin.to_string(),
            path: wanted.path.clone(),
            operations: wanted.operations.clone(),
            allowed: *allowed,
            asked: is_asked(wanted),
            granted: wanted.is_covered_by(&granted.http),
        });
        let requests = seen.collect();
        // Settings are values, and stay whoever grants what.
        let grant = Grant {
            http: grant.http,
            config: Settings::default(),
            ..granted
        };
        Ok(Self {
            capsule: installed.row.name.clone(),
            requests,
            learning: watch.map(Learning::from),
            grant,
            nameless,
            credentials_left_out,
        })
    }
}

/// Credentials that are asked for with requests which the grant has without them.
fn left_out(
    requests: &[&Wanted],
    asked: &[HttpCapability],
    granted: &[HttpGrant],
) -> BTreeSet<CredentialName> {
    let mut left_out = BTreeSet::new();
    for wanted in requests.iter().filter(|it| it.is_covered_by(granted)) {
        let asked = asked
            .iter()
            .filter(|it| wanted.is_asked_by(slice::from_ref(*it)));
        for name in asked.filter_map(|it| it.credential.as_ref()) {
            let mut with_it = granted
                .iter()
                .filter(|it| it.credential.as_ref() == Some(name));
            if !with_it.any(|it| wanted.is_covered_by(slice::from_ref(it))) {
                left_out.insert(name.clone());
            }
        }
    }
    left_out
}

impl From<Watch> for Learning {
    fn from(watch: Watch) -> Self {
        Self {
            is_on: watch.is_on(),
            began_at: watch.began_at,
            began_by: watch.began_by,
            ends_at: watch.ends_at,
            is_full: watch.is_full,
        }
    }
}
