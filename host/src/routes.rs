//! The handlers, a file a group: authenticate, load, act, answer.

pub(crate) mod audit;
pub(crate) mod budgets;
pub(crate) mod calls;
pub(crate) mod capsules;
pub(crate) mod grants;
pub(crate) mod health;
pub(crate) mod installs;
pub(crate) mod keys;
pub(crate) mod learned;
pub(crate) mod logs;
pub(crate) mod pins;
pub(crate) mod receipts;
pub(crate) mod secrets;
pub(crate) mod stores;
pub(crate) mod tenants;
pub(crate) mod updates;
pub(crate) mod usage;
