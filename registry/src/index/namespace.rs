//! Who may publish under a name: its owners and their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soma_capability::Name;
use utoipa::ToSchema;
use uuid::Uuid;

use super::recovery::Recovery;
use crate::change::OwnerKey;
use crate::key::PublicKey;

/// A namespace: its owners, their keys, and what is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Namespace {
    /// Each owner's keys, those that hold no more among them.
    #[schema(value_type = HashMap<String, HashMap<String, KeyStanding>>)]
    pub owners: BTreeMap<Name, BTreeMap<PublicKey, KeyStanding>>,
    /// Recoveries under way, by owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = HashMap<String, Recovery>)]
    pub recoveries: BTreeMap<Name, Recovery>,
    /// The leaf of the last change of owners or keys.
    pub owners_since: u64,
    /// The id of the newest change that could be made again if it was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(super) newest: Option<Uuid>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyStanding {
    /// Unix seconds from which on it signs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// The leaf that revoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<u64>,
}

impl Namespace {
    /// Whose key this is and how it stands, where it is or was an owner's.
    pub fn key(&self, key: &PublicKey) -> Option<(&Name, KeyStanding)> {
        let mut owners = self.owners.iter();
        owners.find_map(|(account, keys)| Some((account, *keys.get(key)?)))
    }

    /// Whether the account is an owner, which it is as long as a key of its is not revoked.
    pub fn is_owner(&self, account: &Name) -> bool {
        let keys = self.owners.get(account);
        keys.is_some_and(|keys| keys.values().any(|standing| standing.revoked.is_none()))
    }

    /// All the keys that an owner ever had here: what a host pins.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.owners.values().flat_map(BTreeMap::keys)
    }

    pub(super) fn insert(&mut self, account: &Name, key: OwnerKey) {
        let standing = KeyStanding {
            expires: key.expires,
            revoked: None,
        };
        let keys = self.owners.entry(account.clone()).or_default();
        keys.insert(key.public, standing);
    }
}

impl KeyStanding {
    /// Whether it may sign at this time.
    pub fn holds(&self, time: u64) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|end| time < end)
    }
}
