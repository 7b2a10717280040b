//! Made with the SDK, unlike the other guests: what its WebAssembly half does in a real host. It
//! logs, reports progress, sends and streams, and tells the time and random numbers it was given.

use std::io::Read as _;
use std::time::UNIX_EPOCH;

use soma_sdk::http::{self, stream};
use soma_sdk::serde_json::{Value, json};
use soma_sdk::{Error, clock, log, progress, random, tool};

/// Tries what the SDK offers, on the server at `origin`; panics where there is none.
#[tool]
fn run(origin: Option<String>) -> Result<Value, Error> {
    let origin = origin.expect("an origin to ask");
    log::info!("asks {origin}");
    log::debug!("not sent, since it is below info");
    progress::report(0.0, Some(2.0), Some("asking"));
    let hello = http::get(format!("{origin}/hello"))
        .send()?
        .error_for_status()?
        .text();
    progress::report(1.0, Some(2.0), None);

    let mut exchange = http::post(format!("{origin}/echo")).upload()?;
    exchange.write(b"one ")?;
    exchange.write(b"two")?;
    exchange.finish()?;
    let ready = stream::wait(&[&exchange]);
    let status = exchange.head()?.status;
    let mut echoed = String::new();
    exchange.read_to_string(&mut echoed)?;
    progress::report(2.0, Some(2.0), Some("done"));

    // More than the host gives at once.
    let bytes = random::bytes(100_000);
    Ok(json!({
        "hello": hello,
        "ready": ready,
        "status": status,
        "echoed": echoed,
        "now": clock::now().duration_since(UNIX_EPOCH)?.as_secs(),
        "elapsed_ms": u64::try_from(clock::elapsed().as_millis())?,
        "random": random::u64().to_string(),
        "random_tail": bytes[99_984..],
    }))
}

soma_sdk::capsule![run];
