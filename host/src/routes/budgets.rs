//! Budgets of tenants, keys and sessions, for administrators.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::keys::find_tenant;
use crate::accounting;
use crate::app::{App, AppState};
use crate::audit::Event;
use crate::auth::{Admin, Caller};
use crate::body::Document;
use crate::budget::{Level, SessionId, Span};
use crate::db::budgets::{self, Place, SetError, Standing};
use crate::db::keys::{self, Key};
use crate::db::tenants::Tenant;
use crate::error::Error;
use crate::key::is_id;

/// Windows that are shown of one budget.
const MOST_WINDOWS: i64 = 100;

/// Whose budgets: without a tenant, those of the caller's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfTenant {
    tenant: Option<String>,
}

/// One place of a budget.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    tenant: Option<String>,
    key: Option<String>,
    session: Option<String>,
    span: Span,
}

/// A budget that is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    tenant: Option<String>,
    key: Option<String>,
    session: Option<String>,
    span: Span,
    tokens: u64,
    #[serde(default = "hard")]
    hard: bool,
}

fn hard() -> bool {
    true
}

/// A budget as it stands.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    standing: Standing,
    /// What is neither used nor leased.
    left: u64,
    /// When all of it is there again; null for a lifetime.
    refills_at: Option<Timestamp>,
}

impl Shown {
    fn at(moment: Timestamp, standing: Standing) -> Self {
        Self {
            left: standing.left(),
            refills_at: standing.budget.place.span.ends_at(moment),
            standing,
        }
    }
}

pub(crate) async fn list(
    State(app): State<AppState>,
    Admin(caller): Admin,
    query: Result<Query<OfTenant>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let Query(of) = query?;
    let tenant = tenant(&app, &caller, of.tenant).await?;
    let now = Timestamp::now();
    let budgets = budgets::list(&app.pool, &tenant.id, now).await?;
    let budgets = budgets.into_iter().map(|it| Shown::at(now, it));
    Ok(Json(json!({"budgets": budgets.collect::<Vec<_>>()})))
}

pub(crate) async fn set(
    State(app): State<AppState>,
    Admin(caller): Admin,
    Document(wanted): Document<Wanted>,
) -> Result<Json<Value>, Error> {
    accounting::takes_budgets(&app)?;
    let Wanted {
        tenant: of,
        key,
        session,
        span,
        tokens,
        hard,
    } = wanted;
    let tenant = tenant(&app, &caller, of).await?;
    let place = place(&tenant, key, session, span)?;
    if let Some(id) = place.level.key()
        && key_of(&app, &tenant, id).await?.revoked_at.is_some()
    {
        return Err(Error::UnknownKey(id.to_owned()));
    }
    let budget = budgets::set(&app.pool, &place, tokens, hard).await;
    let budget = budget.map_err(|error| refused(error, &place))?;
    app.budgets.changed(&tenant.id).await;
    let of = tenant.name;
    tracing::info!(tenant = of, level = %place.level, %span, tokens, hard, "budget set");
    let event = Event::BudgetSet {
        of,
        budget: budget.clone(),
    };
    app.audit.by(&caller, event).await?;
    let now = Timestamp::now();
    let standing = budgets::get(&app.pool, &place, now).await?;
    let standing = standing.unwrap_or_else(|| Standing::new(budget));
    Ok(Json(json!(Shown::at(now, standing))))
}

pub(crate) async fn remove(
    State(app): State<AppState>,
    Admin(caller): Admin,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<StatusCode, Error> {
    let (tenant, place) = find(&app, &caller, query).await?;
    if !budgets::delete(&app.pool, &place).await? {
        return Err(unknown(&place));
    }
    app.budgets.changed(&tenant.id).await;
    let of = tenant.name;
    tracing::info!(tenant = of, level = %place.level, span = %place.span, "budget removed");
    app.audit
        .by(&caller, Event::BudgetRemoved { of, place })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn history(
    State(app): State<AppState>,
    Admin(caller): Admin,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let (_, place) = find(&app, &caller, query).await?;
    if budgets::get(&app.pool, &place, Timestamp::now())
        .await?
        .is_none()
    {
        return Err(unknown(&place));
    }
    let windows = budgets::history(&app.pool, &place, MOST_WINDOWS).await?;
    Ok(Json(json!({"windows": windows})))
}

async fn find(
    app: &App,
    caller: &Caller,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<(Tenant, Place), Error> {
    let Query(which) = query?;
    let tenant = tenant(app, caller, which.tenant).await?;
    let place = place(&tenant, which.key, which.session, which.span)?;
    // A revoked one still has what was set.
    if let Some(id) = place.level.key() {
        key_of(app, &tenant, id).await?;
    }
    Ok((tenant, place))
}

/// The key of that id, where it is one of the tenant's.
async fn key_of(app: &App, tenant: &Tenant, id: &str) -> Result<Key, Error> {
    let found = keys::by_id(&app.pool, id).await?;
    match found.filter(|found| found.tenant_id == tenant.id) {
        Some(found) => Ok(found.key),
        None => Err(Error::UnknownKey(id.to_owned())),
    }
}

async fn tenant(app: &App, caller: &Caller, name: Option<String>) -> Result<Tenant, Error> {
    find_tenant(app, name.as_deref().unwrap_or(caller.tenant())).await
}

fn place(
    tenant: &Tenant,
    key: Option<String>,
    session: Option<String>,
    span: Span,
) -> Result<Place, Error> {
    // An empty one, as of a variable that is not set, would be everybody's.
    if let Some(key) = key.as_ref().filter(|key| !is_id(key)) {
        return Err(Error::UnknownKey(key.clone()));
    }
    let level = match (key, session) {
        (None, None) => Level::Tenant,
        (Some(key), None) => Level::Key { key },
        (Some(key), Some(session)) => Level::Session {
            key,
            session: SessionId::try_from(session)
                .map_err(|error| Error::BadRequest(error.to_string()))?,
        },
        (None, Some(_)) => {
            return Err(Error::BadRequest(
                "a session is one of a key's: say which `key`".to_owned(),
            ));
        }
    };
    Ok(Place {
        tenant: tenant.id.clone(),
        level,
        span,
    })
}

fn unknown(place: &Place) -> Error {
    Error::UnknownBudget(format!(
        "the {} has no budget ({})",
        place.level, place.span
    ))
}

fn refused(error: SetError, place: &Place) -> Error {
    match error {
        SetError::NoSuchLevel => {
            Error::UnknownKey(place.level.key().unwrap_or_default().to_owned())
        }
        SetError::TooLarge => Error::BadRequest(error.to_string()),
        SetError::TooManySessions => Error::Conflict(error.to_string()),
        SetError::Database(error) => Error::Database(error),
    }
}
