//! The HTTP API, path by path.

mod bodies;
mod budgets;
mod calls;
mod capsules;
mod connections;
mod grants;
mod health;
mod idempotency;
mod keys;
mod learned;
mod masked;
mod narrowed;
mod operations;
mod secrets;
mod settings;
mod sources;
mod tenants;
mod tokens;

pub(crate) use grants::{asking, of};
pub(crate) use settings::SETTINGS;
pub(crate) use tenants::{key, tenant};
