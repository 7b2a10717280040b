//! `soma serve` as a process: what it takes in, reloads, speaks, tells, and how it stops.

mod accounting;
mod admission;
mod backup;
mod code_cache;
mod fair;
mod names;
mod owner_only;
mod reload;
mod shutdown;
mod start;
mod tls;
mod tracing;
