//! The story of one call. Every door comes through here: whoever calls is known, a place has been
//! taken, and the input has arrived.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use soma_capability::{CapsuleName, Digest, Limits};
use soma_runtime::{Call, Capsule, Egress, Failure, Given, Left, Outcome, Output, Usage};
use tracing::field::display;
use tracing::{Instrument as _, error_span, info};
use uuid::Uuid;

use crate::admission::{Place, Slot};
use crate::app::{App, AppState};
use crate::audit::{CallRecord, Target};
use crate::auth::Caller;
use crate::catalog::ReadyTool;
use crate::error::Error;
use crate::finished::Finished;
use crate::metrics::OK;
use crate::problem::Kind;
use crate::trace::TraceParent;
use crate::{audit, input, policy};

/// One call that somebody asks for.
pub(crate) struct Invocation {
    pub(crate) origin: Origin,
    pub(crate) capsule: CapsuleName,
    pub(crate) tool: String,
    pub(crate) input: Vec<u8>,
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
    usage: Usage,
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
    let Invocation {
        origin,
        capsule,
        tool,
        input,
        parent,
    } = invocation;
    let id = origin.id;
    let prepared = prepare(app, &origin, &capsule, &tool, input, place).await;
    let Prepared {
        code,
        ready,
        slot,
        digest,
        input,
        limits,
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
    let target = Target {
        capsule,
        digest,
        tool: tool.clone(),
        within: origin.outer(),
    };
    let record = CallRecord::new(app, origin, target, &input)?.map(Arc::new);
    let call = Call {
        tool,
        input,
        limits,
        given,
        herald: record.clone().map(|record| record as _),
        progress: None,
    };
    // A client that hangs up drops this function; what runs is finished and recorded all the same.
    Finished::new(finish(code, call, slot, ready, record).instrument(span)).await
}

/// Everything that a call needs to run.
struct Prepared {
    code: Arc<Capsule>,
    ready: Arc<ReadyTool>,
    slot: Slot,
    digest: Digest,
    input: String,
    limits: Limits,
    given: Given,
}

/// Decides whether it runs, and under what.
async fn prepare(
    app: &AppState,
    origin: &Origin,
    capsule: &CapsuleName,
    tool: &str,
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
        let mut limits = policy::limits(&live.settings, &installed.about.manifest);
        if let Some(Within { left, .. }) = origin.within {
            limits = policy::within(limits, left);
        }
        let given = policy::given(app, &live, origin, &installed).await?;
        let input = check(app, input, &ready, &limits).await?;
        let code = app.catalog.code(&installed.about).await?;
        let slot = place.slot().await?;
        Ok(Prepared {
            code,
            ready: ready.clone(),
            slot,
            digest: installed.row.digest,
            input,
            limits,
            given,
        })
    };
    prepare.await.inspect_err(|error: &Error| {
        ready.metrics().refused(error.kind().code());
    })
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
    let checked = tokio::task::spawn_blocking(check).await;
    Ok(checked.map_err(|panic| Error::Panicked(panic.to_string()))??)
}

async fn finish(
    code: Arc<Capsule>,
    call: Call,
    slot: Slot,
    ready: Arc<ReadyTool>,
    record: Option<Arc<CallRecord>>,
) -> Result<Ended, Error> {
    let ended = Ended::from(code.call(call).await);
    drop(slot);
    let usage = &ended.usage;
    let code = match &ended.result {
        Ok(_) => OK,
        Err(failure) => Kind::of(failure).code(),
    };
    ready.metrics().ran(code, usage);
    info!(
        outcome = code,
        fuel = usage.fuel,
        ms = usage.time_us / 1000,
        memory = usage.memory_bytes,
        "called"
    );
    if let Some(record) = record {
        record.finish(&ended, code).await?;
    }
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
