//! What a marketplace and its clients say to each other, in JSON.

use std::collections::{BTreeMap, BTreeSet};

use dsse::Envelope;
use semver::Version;
use serde::{Deserialize, Serialize};
use soma_capability::{CapsuleName, Digest, Name, Tool};
use utoipa::ToSchema;

use crate::change::{ChangeError, meant_for};
use crate::index::{Namespace, Release};
use crate::key::{PublicKey, SecretKey};
use crate::manifest::Manifest;
use crate::signed;

pub mod shape;

/// DSSE's payload type of a [`Login`].
pub const LOGIN_TYPE: &str = "application/vnd.soma.login.v1+json";

const MAX_LOGIN_BYTES: usize = 4 << 10;

/// `GET /v1`: who this is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct About {
    /// The log's key as a C2SP vkey. To be pinned from elsewhere, not from here.
    pub log: String,
    /// The software's version.
    pub version: String,
}

/// `POST /v1/login/challenge`: a text to sign, good for some minutes and once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Challenge {
    /// The text.
    pub challenge: String,
}

/// What is signed to log in, as a DSSE payload of [`LOGIN_TYPE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The log of the marketplace that it is meant for.
    pub log: String,
    /// The account.
    pub account: Name,
    /// The text that the marketplace gave.
    pub challenge: String,
}

impl Login {
    /// Signs it with the account's key; with a second one, which takes its place.
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Envelope, ChangeError> {
        Ok(signed::sign(LOGIN_TYPE, self, keys)?)
    }

    /// What was signed, and by whom.
    pub fn open(
        envelope: &Envelope,
        log: &str,
    ) -> Result<(Self, BTreeSet<PublicKey>), ChangeError> {
        let (login, signers): (Self, _) = signed::open(envelope, LOGIN_TYPE, MAX_LOGIN_BYTES)?;
        meant_for(&login.log, log)?;
        Ok((login, signers))
    }
}

/// A token was made: for this once, its text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewToken {
    /// The token, to be sent as `Authorization: Bearer …`.
    pub token: String,
    /// What is known of it.
    #[serde(flatten)]
    pub about: Token,
}

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its public id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// The namespaces it is good for; none is every one of its account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<Name>>,
    /// Unix seconds from which on it opens nothing.
    pub expires: u64,
}

/// `GET /v1/account`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Account {
    /// Whose token was shown.
    pub account: Name,
    /// What is known of that token.
    pub token: Token,
}

/// `POST /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// What its owner calls it: 1–64 characters.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<TokenScope>,
    /// The namespaces it is good for; none is every one of its account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<Name>>,
    /// Seconds until it expires: at most a year.
    pub lifetime: u64,
}

/// What a token may be used for. None is enough by itself: every change is signed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenScope {
    /// Capsules that have no version yet, and new namespaces.
    PublishNew,
    /// Further versions.
    PublishUpdate,
    /// Yank, un-yank, revoke.
    Yank,
    /// Owners, keys, invitations.
    Owners,
    /// Making and revoking tokens: only what a login gives.
    Tokens,
}

/// A change was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Logged {
    /// The leaf's index.
    pub leaf: u64,
}

/// What became of a publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Published {
    /// It is there.
    Published {
        /// The leaf's index.
        leaf: u64,
    },
    /// Somebody looks at it first.
    Held {
        /// The review's id.
        review: String,
        /// Why.
        reason: String,
    },
}

/// A publication that somebody looks at first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Its id.
    pub id: String,
    /// The capsule.
    pub capsule: CapsuleName,
    /// The version.
    #[schema(value_type = String)]
    pub version: Version,
    /// The sha256 of its file.
    pub digest: Digest,
    /// The owner who sent it; none for what is held from before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Name>,
    /// Why it is held.
    pub reason: String,
    /// Unix seconds since when.
    pub since: u64,
}

/// An offer to become an owner: the change, which the one who is invited signs too to accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// Signed by an owner.
    #[schema(value_type = shape::Envelope)]
    pub change: Envelope,
}

/// `GET /v1/namespaces/{namespace}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: Name,
    /// Owners and keys, as the log has them.
    #[serde(flatten)]
    pub state: Namespace,
}

/// One hit of a search, and what a list shows of a capsule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// The capsule.
    pub capsule: CapsuleName,
    /// Its newest version that may be chosen.
    #[schema(value_type = String)]
    pub version: Version,
    /// That version's description.
    pub description: String,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// How often a version of it was fetched.
    pub downloads: u64,
    /// Unix seconds of the newest version.
    pub updated: u64,
}

/// One page of hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hits {
    /// The hits, best first.
    pub hits: Vec<Summary>,
    /// What to send as `after` for the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/packages/{namespace}/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PackageInfo {
    /// The capsule.
    pub capsule: CapsuleName,
    /// How often a version of it was fetched.
    pub downloads: u64,
    /// All versions, newest first.
    pub versions: Vec<Release>,
}

/// `GET /v1/packages/{namespace}/{name}/{version}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseInfo {
    /// As the log has it.
    pub release: Release,
    /// What its author wrote.
    #[schema(value_type = Object)]
    pub manifest: Manifest,
    /// Its tools.
    pub tools: Vec<Tool>,
    /// Bytes of its file.
    pub size: u64,
}

/// `POST /v1/operator/changes`: what the marketplace does on its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OperatorChange {
    /// Revokes a version.
    Revoke {
        /// The capsule.
        capsule: CapsuleName,
        /// The version.
        #[schema(value_type = String)]
        version: Version,
        /// Why.
        reason: String,
    },
    /// Announces a recovery.
    Recover {
        /// The namespace.
        namespace: Name,
        /// The owner who lost the keys.
        account: Name,
        /// The new key.
        #[schema(value_type = String)]
        key: PublicKey,
    },
    /// Ends a recovery after its wait.
    Recovered {
        /// The namespace.
        namespace: Name,
        /// The owner.
        account: Name,
    },
}

/// An RFC 9457 problem, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind, for a program.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which kind, for a person.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What happened this time.
    #[serde(default)]
    pub detail: String,
    /// Whatever else it says.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

impl std::fmt::Display for TokenScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PublishNew => "publish-new",
            Self::PublishUpdate => "publish-update",
            Self::Yank => "yank",
            Self::Owners => "owners",
            Self::Tokens => "tokens",
        })
    }
}
