//! (h) What it costs to count: budgets at every level and of every span, their ledger, the usage, rates
//! and the metrics of tools, against the same build with all of that off. Calls are recorded on neither
//! side, which (f) measures. What is left on both: keys, schemas, limits, admission, the log.

use crate::host::Host;
use crate::post::in_turns;
use crate::ratio::{Ratio, medians};
use crate::{INPUT, client, packed};

/// Bounds that are kept and never reached.
pub(crate) const RATES: [&str; 8] = [
    "--key-calls-per-minute",
    "60000000",
    "--capsule-calls-per-minute",
    "60000000",
    "--key-concurrent",
    "100000",
    "--capsule-concurrent",
    "100000",
];

/// What the calls are a part of.
const SESSION: &str = "bench";
const SPANS: [&str; 4] = ["minute", "day", "month", "lifetime"];
/// Tokens of each budget: more than the calls of a day could take.
const TOKENS: &str = "1000000000M";

pub(crate) async fn measure() -> anyhow::Result<()> {
    let (counted, free) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let unrecorded = ["--audit-calls", "false"];
    let with = Host::start_with(counted.path(), &[&RATES[..], &unrecorded[..]].concat()).await?;
    with.install(&packed::echo(counted.path(), "")?)?;
    set_everywhere(&with)?;
    let uncounted = ["--accounting", "false"];
    let without =
        Host::start_with(free.path(), &[&uncounted[..], &unrecorded[..]].concat()).await?;
    without.install(&packed::echo(free.path(), "")?)?;

    let (counted, free) = (call_in_session(&with)?, call_in_session(&without)?);
    let pairs = in_turns((with.address, &counted), (without.address, &free)).await?;
    let (with, without) = medians(&pairs);
    println!(
        "(h) POST of the echo tool with budgets, ledger, rates and metrics, throughput over without: \
         {} (wanted 0.90)",
        Ratio::of(&pairs)
    );
    println!("    ({with:.0} calls a second, without {without:.0})");
    Ok(())
}

/// Bounds the tenant, its key and the session, each for every span.
pub(crate) fn set_everywhere(host: &Host) -> anyhow::Result<()> {
    let key = host.invoke_key_id()?;
    let key = key.as_str();
    let levels: [&[&str]; 3] = [&[], &["--key", key], &["--key", key, "--session", SESSION]];
    for whose in levels {
        for span in SPANS {
            let set = ["budget", "set", TOKENS, "--per", span];
            host.soma(&[&set[..], whose].concat())?;
        }
    }
    Ok(())
}

/// A call of the echo tool that is under all of them.
pub(crate) fn call_in_session(host: &Host) -> anyhow::Result<Vec<u8>> {
    let session = format!("soma-session: {SESSION}\r\n");
    let key = host.invoke_key()?;
    Ok(client::post_with(
        host.address,
        packed::ECHO,
        &key,
        &session,
        INPUT,
    ))
}
