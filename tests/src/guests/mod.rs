//! Every guest, most of them hostile: how its call ends, and that the host answers the next one.

mod answers;
mod bad_upstreams;
mod describe;
mod files;
mod identities;
mod isolation;
mod limits;
mod links;
mod network;
mod store;
mod toolbox;
mod with_sdk;

use serde_json::json;

use crate::harness::{Setup, TestHost};

use answers::*;
use describe::*;
use isolation::*;
use limits::*;
use links::*;
use network::*;
use store::*;
use toolbox::*;
use with_sdk::*;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

macro_rules! has_a_test {
    ($guest:ident) => {
        // Does not compile where no test has this name.
        const _: fn() = $guest;
    };
}
for_each_guest!(has_a_test);

macro_rules! is_spoken {
    ($language:ident) => {
        const _: fn() = crate::cli::languages::$language;
    };
}
for_each_language!(is_spoken);

/// The guest, installed on a host of this setup, fails so; then the host answers the next call.
fn fails(setup: Setup, guest: &str, input: &serde_json::Value, status: u16, code: &str) {
    setup.run(async |host| {
        host.install_guests(&[guest]).await;
        let problem = host.call(guest, input).await.problem(status, code);
        assert!(problem["usage"]["time_us"].is_u64(), "{problem}");
        answers_the_next_call(&host).await;
    });
}

/// Whatever the last guest did, the next one does not notice.
async fn answers_the_next_call(host: &TestHost) {
    host.install_guests(&["echo"]).await;
    let input = json!({"still": "here"});
    assert_eq!(host.call("echo", &input).await.structured(), input);
}
