//! What is recorded: one entry for everything that somebody did here.

use std::num::NonZeroU64;
use std::sync::Arc;

use jiff::Timestamp;
use semver::Version;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;
use soma_capability::{CapsuleName, Digest, Grant};
use soma_runtime::{Egress, Usage};
use strum::VariantNames;
use uuid::Uuid;

use super::line::Hex;
use crate::auth::Caller;
use crate::catalog::Change;
use crate::consent::Reason;
use crate::db::budgets::{Budget, Place};
use crate::db::keys::KeyChanges;
use crate::keepers::Source;

/// One entry: who, when, what.
#[derive(Serialize)]
pub(crate) struct Entry {
    time: Timestamp,
    /// The tenant's name; none where the host itself did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// The id of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(flatten)]
    event: Event,
}

/// What was done. `VARIANTS` are the kinds, as a record has them.
#[derive(Serialize, VariantNames)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum Event {
    /// The host began.
    Start {
        version: &'static str,
        /// Lines that were there behind the newest checkpoint. After a clean stop there are none: the
        /// host was killed, or somebody else wrote them.
        #[serde(skip_serializing_if = "Option::is_none")]
        unsigned: Option<NonZeroU64>,
    },
    /// A call is about to send its first byte to the outside.
    Intent {
        invocation: Uuid,
        #[serde(flatten)]
        target: Target,
    },
    /// A call came to its end.
    Call(Box<Called>),
    /// A call was refused before anything of the guest ran.
    Refusal {
        invocation: Uuid,
        capsule: CapsuleName,
        tool: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        within: Option<Uuid>,
        outcome: &'static str,
    },
    /// A call that was sent again was answered as the first one was, which is that invocation.
    Replay {
        invocation: Uuid,
        of: Uuid,
        capsule: CapsuleName,
        tool: String,
    },
    /// A capsule was installed, or is held.
    Install {
        capsule: CapsuleName,
        /// The tenant, where it is not that of who did it.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        version: Version,
        digest: Digest,
        change: Change,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        reasons: Vec<Reason>,
    },
    /// A capsule was uninstalled.
    Uninstall {
        capsule: CapsuleName,
    },
    /// An update that was held serves.
    Approval {
        capsule: CapsuleName,
        of: String,
        digest: Digest,
    },
    /// What served before serves again.
    Rollback {
        capsule: CapsuleName,
        of: String,
        digest: Digest,
    },
    /// Something was granted, in place of what was.
    Grant {
        capsule: CapsuleName,
        of: String,
        grant: Grant,
        expires_at: Option<Timestamp>,
    },
    /// Everything that was granted was taken back.
    GrantRevoked {
        capsule: CapsuleName,
        of: String,
    },
    /// What a capsule sends is recorded until then, or not any more.
    LearningStarted {
        capsule: CapsuleName,
        of: String,
        until: Timestamp,
    },
    LearningStopped {
        capsule: CapsuleName,
        of: String,
    },
    /// Everything that a capsule kept was forgotten.
    StoreCleared {
        capsule: CapsuleName,
        of: String,
    },
    /// A budget was set, in place of the one that was there, or removed. It has a `key` of its own, which
    /// is not that of who did it.
    BudgetSet {
        of: String,
        budget: Budget,
    },
    BudgetRemoved {
        of: String,
        #[serde(rename = "budget")]
        place: Place,
    },
    /// A credential was set; never its value.
    Secret {
        name: String,
        of: String,
        /// The id of the key whose calls it is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        for_key: Option<String>,
        /// Where its value is read.
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<Source>,
    },
    /// A credential was removed.
    SecretRemoved {
        name: String,
        of: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        for_key: Option<String>,
    },
    /// A key was made, changed in these members, got a new secret, or was revoked.
    KeyCreated {
        id: String,
        of: String,
    },
    KeyChanged {
        id: String,
        of: String,
        changes: KeyChanges,
    },
    KeyRotated {
        id: String,
    },
    KeyRevoked {
        id: String,
    },
    /// A tenant was made, suspended, resumed or deleted.
    TenantCreated {
        of: String,
    },
    TenantSuspended {
        of: String,
    },
    TenantResumed {
        of: String,
    },
    TenantDeleted {
        of: String,
    },
    /// A namespace is not tied to its log any more.
    Unpinned {
        namespace: String,
    },
    /// The host goes on from a backup that was taken then.
    Restored {
        of: Timestamp,
    },
    /// Records were erased; their hashes stay.
    Erased {
        of: String,
        records: u64,
    },
}

/// How a call ended.
#[derive(Serialize)]
pub(crate) struct Called {
    pub(crate) invocation: Uuid,
    #[serde(flatten)]
    pub(crate) target: Target,
    /// `ok`, or a code of docs/problems.md.
    pub(crate) outcome: &'static str,
    #[serde(serialize_with = "without_zeros")]
    pub(crate) usage: Usage,
    /// The version of the price list that it was reckoned by.
    #[serde(serialize_with = "text")]
    pub(crate) prices: Arc<str>,
    /// What ran it.
    pub(crate) engine: &'static str,
    /// What it sent, or was denied; the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) egress: Vec<Egress>,
    /// Of the line's salt and the JSON text; see [`Salt::hash`](super::Salt::hash).
    pub(crate) input_sha256: Hex<64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output_sha256: Option<Hex<64>>,
    /// Both as they were, where the operator wants that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value>,
}

/// Which tool of which file.
#[derive(Clone, Serialize)]
pub(crate) struct Target {
    pub(crate) capsule: CapsuleName,
    pub(crate) digest: Digest,
    #[serde(serialize_with = "text")]
    pub(crate) tool: Arc<str>,
    /// The call that this one was made within.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<Uuid>,
}

impl Entry {
    /// What a caller did, now.
    pub(crate) fn by(caller: &Caller, event: Event) -> Self {
        Self {
            time: Timestamp::now(),
            tenant: Some(caller.tenant().to_owned()),
            key: Some(caller.key_id().to_owned()),
            event,
        }
    }

    /// What the host did by itself, for a tenant or for all.
    pub(crate) fn by_host(tenant: Option<&str>, event: Event) -> Self {
        Self {
            time: Timestamp::now(),
            tenant: tenant.map(str::to_owned),
            key: None,
            event,
        }
    }
}

/// What a call used, without what it used nothing of: every call writes and hashes this.
fn without_zeros<S: Serializer>(usage: &Usage, serializer: S) -> Result<S::Ok, S::Error> {
    // All of them, so that one that is new is not forgotten.
    let Usage {
        tokens,
        cost: _,
        fuel,
        time_us,
        memory_bytes,
        host_calls,
        input_bytes,
        output_bytes,
        log_lines,
        log_bytes,
        log_dropped,
        requests,
        answered: _,
        denied: _,
        failed: _,
        sent_bytes,
        received_bytes,
        masked,
        tool_calls,
        tool_fuel,
        tool_tokens,
    } = *usage;
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in [
        ("tokens", tokens),
        ("fuel", fuel),
        ("time_us", time_us),
        ("memory_bytes", memory_bytes),
        ("host_calls", host_calls),
        ("input_bytes", input_bytes),
        ("output_bytes", output_bytes),
        ("log_lines", log_lines),
        ("log_bytes", log_bytes),
        ("log_dropped", log_dropped),
        ("requests", requests),
        ("sent_bytes", sent_bytes),
        ("received_bytes", received_bytes),
        ("masked", masked),
        ("tool_calls", tool_calls),
        ("tool_fuel", tool_fuel),
        ("tool_tokens", tool_tokens),
    ] {
        if value > 0 {
            map.serialize_entry(name, &value)?;
        }
    }
    map.end()
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Whether a record is of a call, and not of something that was changed.
pub(super) fn is_of_a_call(record: &Value) -> bool {
    let kind = record["kind"].as_str();
    kind.is_some_and(|kind| matches!(kind, "call" | "intent" | "refusal" | "replay"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Recorded(#[serde(serialize_with = "without_zeros")] Usage);

    #[test]
    fn usage_is_recorded_as_answers_say_it_but_for_zeros() {
        let usage = Usage {
            tokens: 1,
            fuel: 2,
            time_us: 3,
            memory_bytes: 4,
            host_calls: 5,
            input_bytes: 6,
            output_bytes: 7,
            log_lines: 8,
            log_bytes: 9,
            log_dropped: 10,
            requests: 11,
            sent_bytes: 12,
            received_bytes: 13,
            masked: 14,
            tool_calls: 15,
            tool_fuel: 16,
            tool_tokens: 17,
            ..Usage::default()
        };
        let recorded = json!(Recorded(usage));
        assert_eq!(recorded, json!(usage));
        // Each is set here, so none is missed.
        assert!(!recorded.to_string().contains(":0"), "{recorded}");
        let little = Usage {
            fuel: 1,
            ..Usage::default()
        };
        assert_eq!(json!(Recorded(little)), json!({"fuel": 1}));
        assert_eq!(json!(Recorded(Usage::default())), json!({}));
    }
}
