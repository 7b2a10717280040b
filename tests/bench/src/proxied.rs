//! (g) A hundred requests inside one call, one after the other, under a grant that adds a credential,
//! against the same by `reqwest`: to a server that answers at once, and to one that takes 20 ms.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use soma_capability::{HttpCapability, HttpGrant, Limits, Prices};
use soma_runtime::{Allowance, Call, Capsule, Credential, Given, Network, Presentation, Rules};

use crate::instance::load_guest;
use crate::post::bare_axum;
use crate::ratio::{Ratio, medians};

const REQUESTS: u32 = 100;
const TOKEN: &str = "a-token-of-the-benchmark";

pub(crate) async fn measure() -> anyhow::Result<()> {
    let upstream = bare_axum().await?;
    let capsule = load_guest("http").await?;
    let network = network(upstream.address)?;
    // With the network's TLS, which the first to come installs.
    let client = reqwest::Client::builder().no_proxy().build()?;
    // What takes a hundredth of the time is measured more often.
    for (path, how, rounds) in [("/now", "at once", 301), ("/late", "in 20 ms", 9)] {
        let url = format!("http://{}{path}", upstream.address);
        let mut pairs = Vec::new();
        // The first of each makes its connection.
        for round in 0..=rounds {
            let ours = within_a_call(&capsule, &network, &url).await?;
            let theirs = plain(&client, &url).await?;
            if round > 0 {
                pairs.push((ours.as_secs_f64(), theirs.as_secs_f64()));
            }
        }
        let (ours, theirs) = medians(&pairs);
        println!(
            "(g) {REQUESTS} requests in one call, time over plain reqwest, answered {how}: {}",
            Ratio::of(&pairs)
        );
        println!("    ({:.1} ms, plain {:.1} ms)", ours * 1e3, theirs * 1e3);
    }
    Ok(())
}

/// What an operator would grant: all of one server, with a credential.
fn network(upstream: SocketAddr) -> anyhow::Result<Network> {
    let mut granted: HttpGrant = format!("GET http://{upstream}/**").parse()?;
    let credential = "upstream".parse()?;
    granted.credential = Some(credential);
    let asked = HttpCapability {
        origin: granted.origin.clone(),
        methods: granted.methods.clone(),
        paths: granted.paths.clone(),
        operations: None,
        credential: granted.credential.clone(),
        why: "A benchmark.".to_owned(),
    };
    let credential = Credential::new(Presentation::Bearer, TOKEN.into())?;
    Ok(Network::new(Rules {
        asked: vec![asked],
        credentials: BTreeMap::from_iter(granted.credential.clone().zip(Some(credential))),
        granted: vec![granted],
        ..Rules::default()
    })?)
}

async fn within_a_call(
    capsule: &Arc<Capsule>,
    network: &Network,
    url: &str,
) -> anyhow::Result<Duration> {
    let call = Call {
        tool: "run".to_owned(),
        input: json!({"url": url, "times": REQUESTS}).to_string(),
        limits: Limits::default(),
        allowance: Allowance::unbounded(Prices::default()),
        given: Given {
            network: network.clone(),
            ..Given::default()
        },
        herald: None,
        progress: None,
    };
    let begin = Instant::now();
    let outcome = capsule.call(call).await;
    let time = begin.elapsed();
    let answer = outcome.result?.structured;
    let answer = answer.as_ref().map_or("", |answer| answer.get());
    ensure!(answer.contains("\"status\":200"), "{answer}");
    ensure!(outcome.usage.requests == u64::from(REQUESTS), "not all");
    Ok(time)
}

async fn plain(client: &reqwest::Client, url: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    for _ in 0..REQUESTS {
        let answer = client.get(url).bearer_auth(TOKEN).send().await?;
        answer.error_for_status()?.bytes().await?;
    }
    Ok(begin.elapsed())
}
