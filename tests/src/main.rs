//! The integration tests. Each starts its own `soma serve` on a free port and talks to it as a
//! client would; the folders mirror what is tested: the `guests`, the `api`, `serve`, the `cli`,
//! the `capsules`.

mod api;
mod capsules;
mod cli;
mod guests;
mod harness;
mod serve;
