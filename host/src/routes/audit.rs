//! The audit log, for administrators: looking things up in it, and fetching it to prove it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State, rejection::QueryRejection};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use strum::VariantNames as _;

use crate::app::AppState;
use crate::audit::{Event, Line};
use crate::auth::Admin;
use crate::error::Error;
use crate::metrics::OK;
use crate::problem::Kind;

const MOST: usize = 1000;
/// Files of records that one request looks through.
const FILES: usize = 64;

/// Which records; what is left out is any.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    kind: Option<String>,
    /// Whose it is, or who it was done to.
    tenant: Option<String>,
    capsule: Option<String>,
    invocation: Option<String>,
    key: Option<String>,
    outcome: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// The index before which to look: of an answer's `next`.
    before: Option<u64>,
    limit: Option<usize>,
}

impl Which {
    /// Nothing is recorded of a kind or an outcome that there is not, which is no answer to a slip
    /// of the pen; neither is less than what was asked for.
    fn check(&self) -> Result<(), Error> {
        if let Some(kind) = &self.kind
            && !Event::VARIANTS.contains(&kind.as_str())
        {
            let kinds = Event::VARIANTS.join(", ");
            return Err(Error::BadRequest(format!("`kind` is one of {kinds}")));
        }
        let is_outcome =
            |wanted: &String| wanted == OK || Kind::ALL.iter().any(|kind| kind.code() == wanted);
        if !self.outcome.as_ref().is_none_or(is_outcome) {
            let words = "`outcome` is `ok`, or a code of docs/problems.md";
            return Err(Error::BadRequest(words.to_owned()));
        }
        if self.limit.is_some_and(|limit| !(1..=MOST).contains(&limit)) {
            return Err(Error::BadRequest(format!("`limit` is 1 to {MOST}")));
        }
        Ok(())
    }

    fn takes(&self, record: &Value) -> bool {
        let is = |wanted: &Option<String>, member: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| record[member] == *wanted)
        };
        let time = record["time"].as_str().and_then(|time| time.parse().ok());
        let time: Timestamp = time.unwrap_or_default();
        let tenant = self.tenant.as_ref();
        tenant.is_none_or(|tenant| crate::audit::is_of(record, tenant))
            && is(&self.kind, "kind")
            && is(&self.capsule, "capsule")
            && is(&self.invocation, "invocation")
            && is(&self.key, "key")
            && is(&self.outcome, "outcome")
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }
}

impl Which {
    /// Of these lines, the first of which has this index, the newest records that are meant: at most
    /// `room`. Gives besides the index before which to go on.
    fn newest(&self, first: u64, lines: &[Vec<u8>], room: usize) -> (Vec<Value>, u64) {
        let mut found = Vec::new();
        for (offset, line) in lines.iter().enumerate().rev() {
            let Some(Line { mut record, .. }) = Line::<Value>::read(line) else {
                continue;
            };
            if record.is_object() && self.takes(&record) {
                let index = first + offset as u64;
                record["index"] = json!(index);
                found.push(record);
                if found.len() == room {
                    return (found, index);
                }
            }
        }
        (found, first)
    }
}

/// Where to begin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct From {
    from: u64,
}

/// The newest records first. `next` says where to go on, as long as there may be more.
pub(crate) async fn query(
    State(app): State<AppState>,
    _: Admin,
    query: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let Query(which) = query?;
    which.check()?;
    // Everything up to now is to be found, what nobody waited for too.
    app.audit.checkpoint().await?;
    let limit = which.limit.unwrap_or(100);
    let mut next = which.before.unwrap_or(u64::MAX).min(app.audit.size());
    let mut records = Vec::new();
    let which = Arc::new(which);
    for _ in 0..FILES {
        let (first, lines) = app.audit.lines_before(next).await?;
        let (which, room) = (which.clone(), limit - records.len());
        // Some thousand texts are parsed: not on a thread that serves others.
        let look = tokio::task::spawn_blocking(move || which.newest(first, &lines, room));
        let (found, reached) = look.await?;
        records.extend(found);
        next = reached;
        if next == 0 || records.len() == limit {
            break;
        }
    }
    let next = (next > 0).then_some(next);
    Ok(Json(json!({ "records": records, "next": next })))
}

/// The newest checkpoint, which has everything in it that is recorded now, and the key that signed
/// it.
pub(crate) async fn checkpoint(
    State(app): State<AppState>,
    _: Admin,
) -> Result<Json<Value>, Error> {
    let checkpoint = app.audit.checkpoint().await?;
    let key = app.audit.key().to_string();
    Ok(Json(json!({ "key": key, "checkpoint": checkpoint })))
}

/// The lines as they are kept, from an index on: as many as there are in one file.
pub(crate) async fn lines(
    State(app): State<AppState>,
    _: Admin,
    query: Result<Query<From>, QueryRejection>,
) -> Result<Json<Value>, Error> {
    let Query(From { from }) = query?;
    let lines = app.audit.lines(from).await?;
    let lines: Vec<_> = lines.iter().map(|it| String::from_utf8_lossy(it)).collect();
    Ok(Json(json!({ "from": from, "lines": lines })))
}
