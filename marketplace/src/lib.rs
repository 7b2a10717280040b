//! The marketplace: authors publish, operators search and fetch, and everybody can check the log.
//!
//! [`serve`] runs one from a [`Config`]. Its parts are in `App`; `router` is the whole API on one
//! screen; `publish` is the story; `sequencer` is the one place that appends to the log.
//! [`serve_witness`] runs a witness of logs, of these and of others.

mod app;
mod auth;
mod authority;
mod blobs;
mod body;
mod config;
mod db;
mod downloads;
mod edge;
mod error;
mod incoming;
mod metrics;
mod names;
mod note_file;
mod openapi;
mod path;
mod publication;
mod publish;
mod rate;
mod router;
mod routes;
mod sequencer;
mod serve;
mod sweep;
mod turns;
mod witness;
mod witnesses;

pub use config::{Config, DEFAULT_PORT};
pub use serve::{Running, serve, start};
pub use witness::{WitnessConfig, serve_witness};
