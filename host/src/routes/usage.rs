//! What calls used.

use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::keys::find_tenant;
use crate::app::AppState;
use crate::auth::Caller;
use crate::db::usage::{self, By, Used, Which};
use crate::error::Error;
use crate::key::Scope;

/// Of which days, by what, and whose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    from: Option<String>,
    to: Option<String>,
    by: Option<String>,
    tenant: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    from: Date,
    /// The last day, itself included.
    to: Date,
    usage: Vec<Used>,
}

/// What the key that asks used; where a tenant is named, what all of its keys did.
pub(crate) async fn get(
    State(app): State<AppState>,
    caller: Caller,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Answer>, Error> {
    let Query(asked) = query?;
    let (tenant, key) = match &asked.tenant {
        Some(name) => {
            caller.require(Scope::Admin)?;
            (find_tenant(&app, name).await?.id, None)
        }
        None => {
            let administers = caller.require(Scope::Admin);
            administers.or_else(|_| caller.require(Scope::Invoke))?;
            (caller.tenant_id().to_owned(), Some(caller.key_id()))
        }
    };
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    let to = day(asked.to.as_deref(), "to")?.unwrap_or(today);
    let from = day(asked.from.as_deref(), "from")?.unwrap_or(to.first_of_month());
    if from > to {
        let last = match asked.to {
            Some(_) => "the last day that is asked for",
            None => "today, which is the last day where none is given",
        };
        return Err(Error::BadRequest(format!(
            "`from` {from} comes after {to}, {last}"
        )));
    }
    let by = asked.by.as_deref().unwrap_or("capsule,tool").parse()?;
    // What the host has in memory, it writes down first.
    app.usage.settle().await?;
    let which = Which {
        tenant: &tenant,
        key,
        from: midnight(from)?,
        before: midnight(to)? + 24.hours(),
    };
    Ok(Json(Answer {
        from,
        to,
        usage: usage::sums(&app.pool, &which, by).await?,
    }))
}

fn day(text: Option<&str>, name: &str) -> Result<Option<Date>, Error> {
    let day = text.map(str::parse).transpose();
    day.map_err(|_| Error::BadRequest(format!("`{name}` is a day, such as 2026-11-29")))
}

fn midnight(day: Date) -> Result<Timestamp, Error> {
    let far = |_| Error::BadRequest(format!("{day} is too far away"));
    let midnight = day.to_zoned(TimeZone::UTC).map_err(far)?.timestamp();
    // So that a day can be added to it.
    midnight.checked_add(48.hours()).map_err(far)?;
    Ok(midnight)
}

impl FromStr for By {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut by = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let is_wanted = match part {
                "day" => &mut by.day,
                "capsule" => &mut by.capsule,
                "tool" => &mut by.tool,
                "key" => &mut by.key,
                _ => {
                    return Err(Error::BadRequest(
                        "`by` is some of day, capsule, tool and key, with commas between"
                            .to_owned(),
                    ));
                }
            };
            *is_wanted = true;
        }
        Ok(by)
    }
}
