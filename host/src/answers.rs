//! Calls that are sent with an `Idempotency-Key`: each runs once, and whoever sends it again is given
//! the answer that it had (draft-ietf-httpapi-idempotency-key-header).
//!
//! That a call begins is in the database before anything runs, and its answer before anybody is told.
//! One that has begun is never run again: where its host is gone, nobody knows how far it came.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use soma_runtime::Failure;
use sqlx::AnyPool;
use uuid::Uuid;

use crate::admission::Place;
use crate::app::{App, AppState};
use crate::audit;
use crate::body::JSON;
use crate::db::answers::{self, Asked, Begun, MOST, Stored, Told};
use crate::db::ledger::Holder;
use crate::db::{MINUTE, now};
use crate::edge::InvocationId;
use crate::error::Error;
use crate::finished::Finished;
use crate::invoke::{Answer, Invocation, count_bound, invoke};
use crate::problem::{Kind, PROBLEM};
use crate::terms;

/// What the caller calls one call.
const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// With an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("soma-replayed");
/// Characters of such a name, at most.
const LONGEST: usize = 255;
/// Bytes of an answer that are kept, at most.
const MOST_BYTES: usize = 1 << 20;
/// Milliseconds that a call may take besides the longest that it may run: for its turn, and its end.
const SLACK: i64 = MINUTE;
/// How often it is seen what can be forgotten.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// What a caller calls one call: 1 to 255 visible ASCII characters.
pub(crate) struct IdempotencyKey(String);

/// The answers that are kept, as one run of a host makes and gives them.
pub(crate) struct Answers {
    pool: AnyPool,
    holder: Holder,
    /// Milliseconds after which a call that began is not under way any more.
    longest: i64,
    /// A clone with each call whose answer is still to be kept.
    under_way: Arc<()>,
}

/// Why a call that was sent before is not answered as it was then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unrepeated {
    #[error(
        "another call was sent with this `Idempotency-Key` before, or the same with other input or \
         terms: give each call a key of its own"
    )]
    Mismatch,
    #[error("the call is under way as {0}: send it again for its answer")]
    InProgress(Uuid),
    #[error(
        "the call ran as {invocation} and was answered with {status}, in more than 1 MiB, \
         which is not kept; it is not run again"
    )]
    NotKept {
        invocation: Uuid,
        status: StatusCode,
    },
    #[error(
        "the call began as {0}, and how it ended is not known: whether it did what it should have \
         must be looked at where it sends to; it is not run again, and do not simply call under \
         another key"
    )]
    Unknown(Uuid),
}

impl Unrepeated {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Mismatch => Kind::IdempotencyMismatch,
            Self::InProgress(_) => Kind::IdempotencyInProgress,
            Self::NotKept { .. } => Kind::OutcomeNotKept,
            Self::Unknown(_) => Kind::OutcomeUnknown,
        }
    }
}

impl IdempotencyKey {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let Some(text) = terms::text(headers, &HEADER)? else {
            return Ok(None);
        };
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !is_visible {
            let why = format_args!("it is 1 to {LONGEST} visible ASCII characters");
            return Err(terms::wrong(&HEADER, why));
        }
        if text == "\"\"" {
            return Err(terms::wrong(&HEADER, "there is nothing in its quotes"));
        }
        if !is_quoted_or_not(text) {
            let why = "its quotes are not balanced: it has none, or one at each end, and others \
                       within only after a `\\`";
            return Err(terms::wrong(&HEADER, why));
        }
        Ok(Some(Self(text.to_owned())))
    }
}

/// Whether a text is a quoted string of a structured field (RFC 9651), or has no quotes: one that was
/// cut would be another key than the whole.
fn is_quoted_or_not(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('"') else {
        return !text.contains('"');
    };
    let mut is_escaped = false;
    let end = rest.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.is_some_and(|end| end + 1 == rest.len())
}

/// Makes the call, or answers as it was answered before.
pub(crate) async fn once(
    app: AppState,
    key: IdempotencyKey,
    invocation: Invocation,
    place: Place,
) -> Result<Response, Error> {
    // Whoever hangs up comes again and wants to know.
    Finished::new(carry_out(app, key, invocation, place)).await
}

async fn carry_out(
    app: AppState,
    key: IdempotencyKey,
    invocation: Invocation,
    place: Place,
) -> Result<Response, Error> {
    let _under_way = app.answers.under_way.clone();
    let asked = asked(key, &invocation);
    let begun = app.answers.begin(&asked).await;
    let is_unknown = matches!(begun, Err(Error::Unrepeated(Unrepeated::Unknown(_))));
    if is_unknown {
        count_unknown(&app, &invocation).await;
    }
    let Invocation {
        origin,
        capsule,
        tool,
        ..
    } = &invocation;
    if !matches!(begun, Ok(None)) {
        // One that runs is counted when it does.
        let live = app.in_force();
        let counted = app.rates.enter_again(&live.settings.rates, &origin.caller);
        counted.inspect_err(|error| count_bound(&app, error))?;
    }
    if let Some((of, response)) = begun? {
        audit::replayed(&app, origin, capsule, tool, of).await;
        return Ok(response);
    }
    let answer = invoke(&app, invocation, place).await;
    app.answers.end(&asked, &answer).await;
    Ok(answer?.into_response())
}

/// Counts a call that nobody knows the end of, where its tool is still there.
async fn count_unknown(app: &App, invocation: &Invocation) {
    let tenant = invocation.origin.caller.tenant_id();
    if let Ok(installed) = app.catalog.find(tenant, &invocation.capsule).await
        && let Ok(ready) = installed.about.tool(&invocation.tool)
    {
        ready.metrics().refused(Kind::OutcomeUnknown.code());
    }
}

fn asked(IdempotencyKey(idempotency_key): IdempotencyKey, invocation: &Invocation) -> Asked {
    let caller = &invocation.origin.caller;
    Asked {
        tenant: caller.tenant_id().to_owned(),
        key: caller.key_id().to_owned(),
        idempotency_key,
        request: fingerprint(invocation),
        invocation: invocation.origin.id,
    }
}

/// The sha256 of all that makes one call another, in hex.
fn fingerprint(invocation: &Invocation) -> String {
    let terms = &invocation.terms;
    let session = terms.session.as_ref();
    let session = session.map(|session| (session.id.as_str(), session.most));
    let capsule = invocation.capsule.to_string();
    // Where one JSON text ends, the input begins.
    let about = json!([capsule, invocation.tool, terms.most, session]).to_string();
    let hash = Sha256::new().chain_update(about);
    hex::encode(hash.chain_update(&invocation.input).finalize())
}

impl Answers {
    /// For a run of a host.
    pub(crate) fn new(pool: AnyPool, holder: Holder, longest_call: Duration) -> Self {
        let longest = i64::try_from(longest_call.as_millis()).unwrap_or(i64::MAX);
        Self {
            pool,
            holder,
            longest: longest.saturating_add(SLACK),
            under_way: Arc::default(),
        }
    }

    /// Calls whose answers are still to be kept, at this moment.
    pub(crate) fn under_way(&self) -> usize {
        Arc::strong_count(&self.under_way) - 1
    }

    /// Puts down that a call begins. Where it has before, which that was and its answer, or why there
    /// is none.
    async fn begin(&self, asked: &Asked) -> Result<Option<(Uuid, Response)>, Error> {
        match answers::begin(&self.pool, asked, &self.holder).await? {
            Begun::New => Ok(None),
            Begun::Before(before) => Ok(Some((before.invocation, self.again(asked, before)?))),
            Begun::Full => Err(Error::Conflict(format!(
                "{MOST} calls of this key with an `Idempotency-Key` are kept, which is as many as \
                 may be: each is forgotten about a day after it was made"
            ))),
        }
    }

    fn again(&self, asked: &Asked, before: Stored) -> Result<Response, Unrepeated> {
        if before.request != asked.request {
            return Err(Unrepeated::Mismatch);
        }
        let is_under_way = self.is_under_way(&before);
        let invocation = before.invocation;
        match before.told {
            Some(told) => replay(told, invocation),
            None if is_under_way => Err(Unrepeated::InProgress(invocation)),
            None => Err(Unrepeated::Unknown(invocation)),
        }
    }

    /// Whether a call that is pending may be: its host has not been started anew since, as far as
    /// is known here, and it is not older than any call.
    fn is_under_way(&self, before: &Stored) -> bool {
        let (its, own) = (&before.holder, &self.holder);
        let is_gone = its.host == own.host && its.fence != own.fence;
        !is_gone && now().saturating_sub(before.made_at) < self.longest
    }

    /// Keeps the answer of a call that ran; forgets one of which nothing did, so that it may be sent
    /// again.
    async fn end(&self, asked: &Asked, answer: &Result<Answer, Error>) {
        let done = match told(asked.invocation, answer) {
            Some(told) => answers::keep(&self.pool, asked, &told).await,
            None => answers::forget(&self.pool, asked).await,
        };
        if let Err(error) = done {
            let invocation = asked.invocation;
            tracing::error!(%invocation, %error, "whoever sends this call again is told nothing of it");
        }
    }
}

/// What is to be kept of a call; none where nothing ran.
fn told(invocation: Uuid, answer: &Result<Answer, Error>) -> Option<Told> {
    let (status, body) = match answer {
        Ok(answer) => (StatusCode::OK, serde_json::to_vec(answer).ok()),
        Err(error) if has_run(error) => {
            let body = error.problem().body(invocation);
            (error.status(), Some(body))
        }
        Err(_) => return None,
    };
    let body = body.filter(|body| body.len() <= MOST_BYTES);
    Some(Told { status, body })
}

fn has_run(error: &Error) -> bool {
    match error {
        Error::Call { failure, .. } => {
            !matches!(failure, Failure::NoInstance | Failure::InputTooLarge { .. })
        }
        Error::OutcomeUnknown => true,
        _ => false,
    }
}

/// The same answer again, under the id that it had. Not what it used: that was said once.
fn replay(Told { status, body }: Told, invocation: Uuid) -> Result<Response, Unrepeated> {
    let Some(body) = body else {
        return Err(Unrepeated::NotKept { invocation, status });
    };
    let media_type = if status.is_success() { JSON } else { PROBLEM };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response.extensions_mut().insert(InvocationId(invocation));
    Ok(response)
}

/// Forgets the calls that began more than a day ago, until it is dropped.
pub(crate) async fn sweep(app: AppState) {
    loop {
        if let Err(error) = answers::forget_old(&app.pool).await {
            tracing::error!(%error, "old answers could not be forgotten");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        let key = IdempotencyKey::of(&headers).map_err(|error| error.to_string())?;
        Ok(key.map(|IdempotencyKey(text)| text))
    }

    #[test]
    fn a_key_is_visible_and_bounded() {
        assert_eq!(key(&[]), Ok(None));
        let longest = "k".repeat(LONGEST);
        let quoted = ["\"8e03978e-40d5\"", "\"a\\\"b\"", "\"a\\\\\""];
        for fine in ["a", "a\\b", "~!", longest.as_str()]
            .into_iter()
            .chain(quoted)
        {
            assert_eq!(key(&[fine]), Ok(Some(fine.to_owned())));
        }
        let long = "k".repeat(LONGEST + 1);
        for bad in ["", "a b", "a\tb", long.as_str()] {
            assert!(key(&[bad]).unwrap_err().contains("1 to 255"), "{bad:?}");
        }
        assert!(
            key(&["\"\""])
                .unwrap_err()
                .contains("nothing in its quotes")
        );
        for bad in ["\"", "\"a", "a\"", "a\"b", "\"a\"b", "\"a\"b\"", "\"a\\\""] {
            let why = key(&[bad]).unwrap_err();
            assert!(why.contains("quotes are not balanced"), "{bad}: {why}");
        }
        assert!(key(&["a", "a"]).unwrap_err().contains("once at most"));
    }
}
