//! The integration tests. Each starts its own `soma serve` on a free port and talks to it as a
//! client would; the folders mirror what is tested: the `guests`, the `api`, the `audit` log, `serve`,
//! the `cli`, the `capsules`, the `sdk`, the `marketplace`, capsules in `oci` registries, what `ops`
//! tells operators, what a host takes on `trust`.

#![expect(clippy::unwrap_used, reason = "what goes wrong in a test is a panic")]

mod api;
mod audit;
mod capsules;
mod cli;
mod guests;
mod harness;
mod marketplace;
mod oci;
mod ops;
mod sdk;
mod serve;
mod trust;
