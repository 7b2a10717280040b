//! The HTTP API, path by path.

mod calls;
mod capsules;
mod health;
mod keys;
mod tenants;
