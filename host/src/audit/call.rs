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
    /// Whether the operator wants input and output as they are, besides.
    is_full: bool,
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
            is_full,
            input: is_full.then(|| readable(input)).flatten(),
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
            output: output.filter(|_| self.is_full).and_then(readable),
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

/// A JSON text as it is recorded; none where it is nested so deep that nobody could read the record
/// back, which has it two levels down. Its hash is there in any case.
fn readable(json: &str) -> Option<Value> {
    let nested: [[Value; 1]; 1] = serde_json::from_str(&format!("[[{json}]]")).ok()?;
    let [[value]] = nested;
    Some(value)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Line;
    use super::*;

    #[test]
    fn what_is_recorded_can_be_read_back_however_deep_it_is_nested() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let mut kept = 0;
        for depth in 1..200 {
            let input = readable(&nested(depth));
            kept += usize::from(input.is_some());
            let line = Salt::new().line(json!({ "input": input })).unwrap();
            assert!(Line::<Value>::read(&line).is_some(), "{depth}");
        }
        assert!((100..128).contains(&kept), "{kept}");
        assert_eq!(readable("1], [1"), None);
    }
}
