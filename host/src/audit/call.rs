//! A call on its way into the log: its intent before its first byte goes out, its outcome before its
//! answer.

use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use soma_capability::CapsuleName;
use soma_runtime::{ENGINE, Herald};
use uuid::Uuid;

use super::line::Hex;
use super::{Audit, Called, Entry, Event, Salt, Target};
use crate::app::App;
use crate::error::Error;
use crate::invoke::{Ended, Origin};
use crate::problem::Kind;

/// One call that is about to run.
pub(crate) struct CallRecord {
    audit: Arc<Audit>,
    origin: Origin,
    target: Target,
    /// The version of the price list.
    prices: Arc<str>,
    salt: Salt,
    input_sha256: Hex<64>,
    /// Where the operator wants it as it is, besides.
    input: Option<Value>,
}

impl CallRecord {
    /// None where calls are not recorded.
    pub(crate) fn new(
        app: &App,
        origin: Origin,
        target: Target,
        prices: Arc<str>,
        input: &str,
    ) -> Option<Self> {
        let live = app.live();
        if !live.settings.audit_calls {
            return None;
        }
        let salt = Salt::new();
        let is_full = live.settings.audit_full;
        Some(Self {
            audit: app.audit.clone(),
            origin,
            target,
            prices,
            input_sha256: salt.hash(input.as_bytes()),
            input: is_full.then(|| serde_json::from_str(input).unwrap_or_default()),
            salt,
        })
    }

    /// Records how the call ended. Where it may have sent something, that must be on disk before
    /// anybody is told.
    pub(crate) async fn finish(&self, ended: &Ended, code: &'static str) -> Result<(), Error> {
        let output = ended.result.as_ref().ok().map(|output| output.get());
        let event = Event::Call(Box::new(Called {
            invocation: self.origin.id,
            target: self.target.clone(),
            outcome: code,
            usage: ended.usage,
            prices: self.prices.clone(),
            engine: ENGINE,
            egress: ended.egress.clone(),
            input_sha256: self.input_sha256,
            output_sha256: output.map(|output| self.salt.hash(output.as_bytes())),
            input: self.input.clone(),
            output: match (&self.input, output) {
                (Some(_), Some(output)) => serde_json::from_str(output).ok(),
                _ => None,
            },
        }));
        let entry = Entry::by(&self.origin.caller, event);
        let durable = ended.has_effects;
        let written = self.audit.write(&self.salt, &entry, durable).await;
        match written {
            Err(error) if durable => {
                tracing::error!(%error, "the outcome of a call is not recorded");
                Err(Error::OutcomeUnknown)
            }
            // Whoever comes next is turned away until it can be written.
            _ => Ok(()),
        }
    }
}

impl Herald for CallRecord {
    fn announce(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        let event = Event::Intent {
            invocation: self.origin.id,
            target: self.target.clone(),
        };
        Box::pin(async {
            let entry = Entry::by(&self.origin.caller, event);
            let written = self.audit.record(&entry).await;
            written
                .inspect_err(|error| tracing::error!(%error, "nothing is sent"))
                .is_ok()
        })
    }
}

/// Records a call of which nothing ran. One that came at a bad moment is not worth a record.
pub(crate) async fn refused(
    app: &App,
    origin: &Origin,
    capsule: &CapsuleName,
    tool: &str,
    error: &Error,
) {
    let kind = error.kind();
    // What is refused since there is too much of it is not to fill the disk.
    if matches!(kind, Kind::Overloaded | Kind::RateLimited | Kind::NotReady) {
        return;
    }
    let event = Event::Refusal {
        invocation: origin.id,
        capsule: capsule.clone(),
        tool: tool.to_owned(),
        within: origin.outer(),
        outcome: kind.code(),
    };
    record(app, origin, event).await;
}

/// Records that a call which was sent again was answered as it was before, as the one of this id.
pub(crate) async fn replayed(
    app: &App,
    origin: &Origin,
    capsule: &CapsuleName,
    tool: &str,
    of: Uuid,
) {
    if !app.live().settings.audit_calls {
        return;
    }
    let event = Event::Replay {
        invocation: origin.id,
        of,
        capsule: capsule.clone(),
        tool: tool.to_owned(),
    };
    record(app, origin, event).await;
}

/// Records what nobody waits for, since nothing ran.
async fn record(app: &App, origin: &Origin, event: Event) {
    let entry = Entry::by(&origin.caller, event);
    let written = app.audit.write(&Salt::new(), &entry, false).await;
    if let Err(error) = written {
        tracing::error!(%error, invocation = %origin.id, "what became of a call is not recorded");
    }
}
