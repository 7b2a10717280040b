//! The story of one call. Every door comes through here: whoever calls is known, a place has been
//! taken, and the input has arrived.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use soma_capability::{CapsuleName, Digest, Limits};
use soma_runtime::{Call, Capsule, Egress, Failure, Given, Left, Outcome, Output, Side, Usage};
use tracing::field::display;
use tracing::{Instrument as _, error_span, info};
use uuid::Uuid;

use crate::admission::{Place, Slot};
use crate::app::{App, AppState};
use crate::audit::{CallRecord, Target};
use crate::auth::Caller;
use crate::budget::{Reservation, Spending};
use crate::catalog::ReadyTool;
use crate::error::Error;
use crate::finished::Finished;
use crate::metrics::OK;
use crate::problem::Kind;
use crate::rates::Turn;
use crate::terms::Terms;
use crate::trace::TraceParent;
use crate::{audit, budget, input, policy, usage};

/// One call that somebody asks for.
pub(crate) struct Invocation {
    pub(crate) origin: Origin,
    pub(crate) capsule: CapsuleName,
    pub(crate) tool: String,
    pub(crate) input: Vec<u8>,
    pub(crate) terms: Terms,
    pub(crate) parent: Option<TraceParent>,
}

/// What it is called in the records, and where it comes from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) id: Uuid,
    pub(crate) caller: Caller,
    /// None where it comes from outside.
    pub(crate) within: Option<Within>,
}

/// The call that one is made within.
#[derive(Clone, Copy)]
pub(crate) struct Within {
    pub(crate) outer: Uuid,
    /// How many there are around it.
    pub(crate) depth: u32,
    pub(crate) left: Left,
}

impl Origin {
    pub(crate) fn depth(&self) -> u32 {
        self.within.map_or(0, |within| within.depth)
    }

    /// The call that this one is within.
    pub(crate) fn outer(&self) -> Option<Uuid> {
        self.within.map(|within| within.outer)
    }
}

/// What came of it.
#[derive(Serialize)]
pub(crate) struct Answer {
    invocation: Uuid,
    output: Box<RawValue>,
    pub(crate) usage: Usage,
}

/// A call that has ended. Its answer is written out once: what is hashed for the record is what the
/// caller is sent.
pub(crate) struct Ended {
    pub(crate) result: Result<Box<RawValue>, Failure>,
    pub(crate) usage: Usage,
    /// Whether it may have sent something.
    pub(crate) has_effects: bool,
    /// The first requests that it sent, or wanted to.
    pub(crate) egress: Vec<Egress>,
}

/// Answers a call from outside.
pub(crate) async fn invoke(
    app: &AppState,
    invocation: Invocation,
    place: Place,
) -> Result<Answer, Error> {
    let id = invocation.origin.id;
    let Ended { result, usage, .. } = run(app, invocation, place).await?;
    match result {
        Ok(output) => Ok(Answer {
            invocation: id,
            output,
            usage,
        }),
        Err(failure) => {
            let usage = Box::new(usage);
            Err(Error::Call { failure, usage })
        }
    }
}

/// Decides, runs, records.
pub(crate) async fn run(
    app: &AppState,
    invocation: Invocation,
    place: Place,
) -> Result<Ended, Error> {
    app.audit.admit()?;
    app.restored.admit(&app.logs)?;
    let Invocation {
        origin,
        capsule,
        tool,
        input,
        terms,
        parent,
    } = invocation;
    let id = origin.id;
    let wanted = Wanted {
        capsule: &capsule,
        tool: &tool,
        terms,
    };
    let prepared = prepare(app, &origin, wanted, input, place).await;
    let Prepared {
        code,
        ready,
        turn,
        slot,
        digest,
        input,
        limits,
        spending,
        given,
    } = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            audit::refused(app, &origin, &capsule, &tool, &error).await;
            return Err(error);
        }
    };

    let trace = parent.as_ref().map(|parent| display(parent.trace_id()));
    // At a level that every filter lets pass: whatever line there is says which call it belongs to.
    let span = error_span!("call", invocation = %id, tenant = origin.caller.tenant(), %capsule, tool, trace);
    if let Some(parent) = parent {
        parent.adopt(&span);
    }
    let prices = app.live().version_of(spending.allowance.prices());
    let entry = app.settings.accounting.then(|| {
        let prices = prices.clone();
        app.usage
            .entry(&origin.caller, &capsule, &ready.name, prices)
    });
    let target = Target {
        capsule,
        digest,
        tool: ready.name.clone(),
        within: origin.outer(),
    };
    let record = CallRecord::new(app, origin, target, prices, &input).map(Arc::new);
    let call = Call {
        tool,
        input,
        limits,
        allowance: spending.allowance,
        given,
        herald: record.clone().map(|record| record as _),
        progress: None,
    };
    // A client that hangs up drops this function; what runs is finished and recorded all the same.
    let held = Held {
        turn,
        slot,
        reservation: spending.reservation,
        entry,
    };
    Finished::new(finish(code, call, held, ready, record).instrument(span)).await
}

/// Everything that a call needs to run.
struct Prepared {
    code: Arc<Capsule>,
    ready: Arc<ReadyTool>,
    turn: Turn,
    slot: Slot,
    digest: Digest,
    input: String,
    limits: Limits,
    spending: Spending,
    given: Given,
}

/// What is to be called, and for how much.
struct Wanted<'a> {
    capsule: &'a CapsuleName,
    tool: &'a str,
    terms: Terms,
}

/// What a call holds until it has ended.
struct Held {
    turn: Turn,
    slot: Slot,
    /// None within another call, which pays for it, and where nothing is counted.
    reservation: Option<Reservation>,
    /// None where nothing is counted.
    entry: Option<usage::Entry>,
}

/// Decides whether it runs, and under what.
async fn prepare(
    app: &AppState,
    origin: &Origin,
    Wanted {
        capsule,
        tool,
        terms,
    }: Wanted<'_>,
    input: Vec<u8>,
    place: Place,
) -> Result<Prepared, Error> {
    let caller = &origin.caller;
    caller.require_tool(capsule, tool)?;
    let installed = app.catalog.find(caller.tenant_id(), capsule).await?;
    let ready = installed.about.tool(tool)?.clone();
    let prepare = async {
        let live = app.in_force();
        app.logs.admit(&installed.row, &live.settings.trust)?;
        let bounds = &live.settings.rates;
        let turn = app.rates.enter(bounds, origin, capsule)?;
        let mut limits = policy::limits(&live.settings, &installed.about.manifest);
        if let Some(Within { left, .. }) = origin.within {
            limits = policy::within(limits, left);
        }
        let input = check(app, input, &ready, &limits).await?;
        let code = app.catalog.code(&installed.about).await?;
        let spending = budget::hold(app, &live.settings.prices, origin, terms, &limits).await?;
        let slot = place.slot().await?;
        if slot.has_waited() {
            still_holds(app, origin, capsule).await?;
        }
        // Not before: what was taken back while the call waited is not given to it.
        let live = app.in_force();
        let given = policy::given(app, &live, origin, &installed).await?;
        Ok(Prepared {
            code,
            ready: ready.clone(),
            turn,
            slot,
            digest: installed.row.digest,
            input,
            limits,
            spending,
            given,
        })
    };
    prepare.await.inspect_err(|error: &Error| {
        ready.metrics().refused(error.kind().code());
        count_bound(app, error);
    })
}

/// Counts a refusal, where it was for a bound.
pub(crate) fn count_bound(app: &App, error: &Error) {
    match error {
        Error::Budget(short) => app.metrics.spending.refusals.refused(short.level.as_str()),
        Error::RateLimited { what, .. } => app.metrics.rates.refused(what.level.as_str()),
        _ => {}
    }
}

/// Goes on where the key still opens the tool of a capsule that is still there.
async fn still_holds(app: &App, origin: &Origin, capsule: &CapsuleName) -> Result<(), Error> {
    let caller = app.keyring.again(&origin.caller).await?;
    let installed = app.catalog.find(caller.tenant_id(), capsule).await?;
    app.logs.admit(&installed.row, &app.live().settings.trust)
}

async fn check(
    app: &App,
    body: Vec<u8>,
    ready: &Arc<ReadyTool>,
    limits: &Limits,
) -> Result<String, Error> {
    let limit = limits.input_bytes;
    if body.len() as u64 > limit {
        return Err(Error::TooLarge { limit });
    }
    if input::is_quick(&body, &ready.schema) {
        return Ok(input::check(body, &ready.schema)?);
    }
    let turn = app.admission.check().await?;
    let ready = ready.clone();
    let check = move || {
        let _turn = turn;
        input::check(body, &ready.schema)
    };
    Ok(tokio::task::spawn_blocking(check).await??)
}

async fn finish(
    code: Arc<Capsule>,
    call: Call,
    Held {
        turn,
        slot,
        reservation,
        entry,
    }: Held,
    ready: Arc<ReadyTool>,
    record: Option<Arc<CallRecord>>,
) -> Result<Ended, Error> {
    let ended = Ended::from(code.call(call).await);
    drop((slot, turn));
    let usage = &ended.usage;
    // What the host failed at is nobody's to pay.
    let is_ours = ended
        .result
        .as_ref()
        .is_err_and(|it| it.side() == Side::Host);
    let charged = if is_ours { 0 } else { usage.tokens };
    if let Some(reservation) = reservation {
        reservation.settle(charged);
    }
    let code = match &ended.result {
        Ok(_) => OK,
        Err(failure) => Kind::of(failure).code(),
    };
    info!(
        outcome = code,
        tokens = usage.tokens,
        fuel = usage.fuel,
        ms = usage.time_us / 1000,
        memory = usage.memory_bytes,
        "called"
    );
    let told = match record {
        Some(record) => record.finish(&ended, code).await,
        None => Ok(()),
    };
    // By what the caller is told, which is not how it ended where that is not on disk.
    let outcome = told.as_ref().map_or_else(|it| it.kind().code(), |()| code);
    if let Some(entry) = entry {
        entry.close(usage, charged, ended.result.is_err());
        ready.metrics().ran(outcome, usage);
    }
    told?;
    Ok(ended)
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        let written = |output: Output| {
            to_raw_value(&output).map_err(|error| Failure::Host(error.to_string()))
        };
        Self {
            result: outcome.result.and_then(written),
            usage: outcome.usage,
            has_effects: outcome.has_effects,
            egress: outcome.egress,
        }
    }
}
