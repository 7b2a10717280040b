//! `just bench`: what SomaGent costs, as ratios from one run against something named.
//!
//! (a) a call in a fresh instance, against bare wasmtime; (b) a call over HTTP, against bare axum;
//! (c) fuel on, against off; (d) the first call after a restart, and (e) a marketplace's search, in
//! milliseconds; (f) policy and audit log, against none; (g) requests inside a call, against plain
//! reqwest; (h) budgets, ledger, rates and metrics, against none; (i) everything on, against bare axum;
//! (j) a tenant's calls while another floods, against alone. Both sides of a ratio run in turns, pair by
//! pair, so that a machine whose speed drifts does not decide.

mod bare;
mod budget;
mod client;
mod everything;
mod fair;
mod fuel;
mod host;
mod instance;
mod packed;
mod paths;
mod post;
mod proxied;
mod ratio;
mod restart;
mod search;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// The same as in `soma`, so that it is on both sides of every ratio.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections, and calls in flight.
const CONCURRENCY: usize = 64;

/// What a call of the echo tool carries.
const INPUT: &str = r#"{"query":"capsules that talk to api.github.com","limit":20,"fields":["name","version","description"],"page":{"cursor":null,"size":50},"dry_run":false}"#;

#[derive(Parser)]
#[command(about = "Measures what SomaGent costs, as ratios against something named.")]
struct Arguments {
    /// Which to run; all where none is named.
    parts: Vec<Part>,
    /// Be the servers that (b) and (i) are held against, on a free port that is printed.
    #[arg(long, hide = true)]
    serve_bare: bool,
    /// Be the compiling child, within these CPU seconds and bytes.
    #[arg(long, hide = true, num_args = 2)]
    compile: Option<Vec<u64>>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    /// (a) A fresh instance and one call, against bare wasmtime.
    Instance,
    /// (b) `POST` of the echo tool, against bare axum.
    Post,
    /// (c) Fuel on a compute guest, against none.
    Fuel,
    /// (d) The first call after a restart with a warm code cache.
    Restart,
    /// (e) A marketplace's search at 100,000 capsules.
    Search,
    /// (f) `POST` of the echo tool with policy and audit log, against without.
    Policy,
    /// (g) A hundred requests inside one call, against plain reqwest.
    Proxied,
    /// (h) `POST` of the echo tool with budgets, ledger, rates and metrics, against without.
    Budget,
    /// (i) `POST` of the echo tool with everything on, against bare axum.
    Everything,
    /// (j) A tenant's calls while another floods the host, against alone.
    Fair,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(&[cpu_seconds, memory_bytes]) = arguments.compile.as_deref() {
        return Ok(soma_runtime::compile_stdin(cpu_seconds, memory_bytes));
    }
    if arguments.serve_bare {
        bare::serve(&paths::guest("echo")?).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let asked = |part| arguments.parts.is_empty() || arguments.parts.contains(&part);
    println!("{CONCURRENCY} connections; median of pairs [lowest, highest]\n");
    if asked(Part::Instance) {
        instance::measure().await?;
    }
    if asked(Part::Post) {
        post::measure().await?;
    }
    if asked(Part::Policy) {
        post::measure_governed().await?;
    }
    if asked(Part::Proxied) {
        proxied::measure().await?;
    }
    if asked(Part::Budget) {
        budget::measure().await?;
    }
    if asked(Part::Everything) {
        everything::measure().await?;
    }
    if asked(Part::Fair) {
        fair::measure().await?;
    }
    if asked(Part::Fuel) {
        fuel::measure().await?;
    }
    if asked(Part::Restart) {
        restart::measure().await?;
    }
    if asked(Part::Search) {
        search::measure().await?;
    }
    Ok(ExitCode::SUCCESS)
}
