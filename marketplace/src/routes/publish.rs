//! `POST /v1/publish`: two envelopes and a file.

use std::time::Duration;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest as _, Multipart, Request, State};
use http::StatusCode;
use serde::de::DeserializeOwned;
use soma_registry::api::{Published, TokenScope, shape};
use soma_registry::{MAX_CHANGE_BYTES, MAX_FILE_BYTES, MAX_STATEMENT_BYTES};
use utoipa::ToSchema;

use crate::app::AppState;
use crate::auth::Caller;
use crate::error::Error;
use crate::incoming::Arriving;
use crate::publish::{self, Offer};
use crate::rate::Sender;

/// The parts of the body, the file last.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Form {
    /// Of what the author says of the file: an in-toto statement.
    statement: shape::Envelope,
    /// Of the `publish` that is to be logged.
    change: shape::Envelope,
    /// The component.
    #[schema(value_type = String, format = Binary)]
    capsule: Vec<u8>,
}

/// The longest that a form may take, at whatever pace.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long the rest of a form that is refused may take.
const REST: Duration = Duration::from_secs(2);
/// How long a publication that has arrived waits to be looked at.
const TURN: Duration = Duration::from_secs(60);

/// Publishes a version: all of it or nothing.
#[utoipa::path(
    post,
    path = "/v1/publish",
    operation_id = "publish",
    tag = "Changes",
    request_body(content = Form, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is there.", body = Published),
        (status = 202, description = "It is held: somebody looks at it first.", body = Published),
        Error
    ),
    security(("token" = [])),
)]
pub(crate) async fn publish(
    State(app): State<AppState>,
    caller: Caller,
    Sender(from): Sender,
    request: Request,
) -> Result<(StatusCode, Json<Published>), Error> {
    caller.require_some_of(&[TokenScope::PublishNew, TokenScope::PublishUpdate])?;
    let (parts, body) = request.into_parts();
    let (arriving, body) = app.incoming.admit(body, from);
    let form = Multipart::from_request(Request::from_parts(parts, body), &app).await;
    let mut form = form.map_err(|_| Error::UnsupportedMediaType("multipart/form-data"))?;
    let offer = tokio::time::timeout(PATIENCE, read(&mut form, &arriving))
        .await
        .map_err(|_| Error::BodyTimeout(PATIENCE.as_secs()))?;
    if offer.is_err() {
        // A client that is still sending would not see the answer.
        let rest = async { while let Ok(Some(_)) = form.next_field().await {} };
        let _ = tokio::time::timeout(REST, rest).await;
    }
    let offer = offer?;
    // Finished once begun, whether or not the author waits for it.
    let task = async move {
        let _room = arriving;
        let turn = app.publications.wait(from, TURN).await;
        let _turn = turn.ok_or(Error::Overloaded("publications"))?;
        // The file may have taken minutes to arrive.
        caller.require_current(&app).await?;
        publish::publish(&app, &caller, offer).await
    };
    let published = tokio::spawn(tracing::Instrument::in_current_span(task))
        .await
        .map_err(|error| Error::Log(error.to_string()))??;
    let status = match published {
        Published::Published { .. } => StatusCode::CREATED,
        Published::Held { .. } => StatusCode::ACCEPTED,
    };
    Ok((status, Json(published)))
}

async fn read(form: &mut Multipart, arriving: &Arriving) -> Result<Offer, Error> {
    let (mut statement, mut change, mut file) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(|e| arriving.broken(&e))? {
        match field.name().unwrap_or_default() {
            "statement" if statement.is_none() => {
                // Base64 and the envelope around it.
                let limit = MAX_STATEMENT_BYTES * 4 / 3 + (4 << 10);
                let bytes = bounded("the statement", field, limit, arriving).await?;
                statement = Some(json("the statement", &bytes)?);
            }
            "change" if change.is_none() => {
                let limit = MAX_CHANGE_BYTES * 2;
                let bytes = bounded("the change", field, limit, arriving).await?;
                change = Some(json("the change", &bytes)?);
            }
            "capsule" if file.is_none() => {
                let limit = MAX_FILE_BYTES;
                file = Some(bounded("the capsule", field, limit, arriving).await?);
            }
            other => {
                let other: String = other
                    .chars()
                    .take(40)
                    .flat_map(char::escape_debug)
                    .collect();
                return Err(Error::BadRequest(format!(
                    "unexpected or repeated part `{other}`: send `statement`, `change` and `capsule`, once each"
                )));
            }
        }
    }
    let missing = |part: &str| Error::BadRequest(format!("the part `{part}` is missing"));
    Ok(Offer {
        statement: statement.ok_or_else(|| missing("statement"))?,
        change: change.ok_or_else(|| missing("change"))?,
        file: file.ok_or_else(|| missing("capsule"))?,
    })
}

async fn bounded(
    what: &'static str,
    mut field: Field<'_>,
    limit: usize,
    arriving: &Arriving,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|e| arriving.broken(&e))? {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::TooLarge { what, limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::BadRequest(format!("{what}: {error}")))
}
