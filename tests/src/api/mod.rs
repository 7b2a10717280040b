//! The HTTP API, path by path.

mod calls;
mod capsules;
mod grants;
mod health;
mod keys;
mod secrets;
mod tenants;

pub(crate) use grants::SETTINGS;
