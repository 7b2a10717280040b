//! What is recorded: one entry for everything that somebody did here.

use jiff::Timestamp;
use semver::Version;
use serde::Serialize;
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
    /// A capsule was installed, or is held.
    Install {
        capsule: CapsuleName,
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
    /// A budget was set, in place of the one that was there, or removed.
    BudgetSet {
        of: String,
        #[serde(flatten)]
        budget: Budget,
    },
    BudgetRemoved {
        of: String,
        #[serde(flatten)]
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
    /// A key was made, got a new secret, or was revoked.
    KeyCreated {
        id: String,
        of: String,
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
    pub(crate) usage: Usage,
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
    pub(crate) tool: String,
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
