//! `soma:capsule/links`.

use std::time::Duration;

use super::http::{SendError, SendHook, guest_method, guest_url, invalid};
use crate::bindings::soma::capsule::http as wit_http;
use crate::bindings::soma::capsule::links as wit;
use crate::state::InvocationState;

/// How long a link may be good.
const LONGEST_SECONDS: u32 = 15 * 60;

impl wit::Host for InvocationState {
    async fn presign(
        &mut self,
        method: String,
        url: String,
        seconds: u32,
    ) -> wasmtime::Result<Result<String, wit_http::Error>> {
        let link = presign(&self.hook, &method, &url, seconds).await;
        let made = link.as_ref().map(|_| ());
        self.hook.tell_link(&method, &url, seconds, made);
        Ok(link.map_err(wit_http::Error::from))
    }
}

/// A link, which is recorded before anybody has it.
async fn presign(
    hook: &SendHook,
    method: &str,
    url: &str,
    seconds: u32,
) -> Result<String, SendError> {
    if !(1..=LONGEST_SECONDS).contains(&seconds) {
        let why = format!("a link is good for 1 to {LONGEST_SECONDS} seconds");
        return Err(invalid(why));
    }
    let (method, mut url) = (guest_method(method)?, guest_url(url)?);
    let credential = hook.permit_link(&method, &mut url)?;
    hook.announce().await?;
    let age = Duration::from_secs(seconds.into());
    credential
        .presign(&method, &mut url, age)
        .map_err(invalid)?;
    Ok(url.into())
}
