//! Requests of which the host must have the whole body before it sends the first byte: to sign them,
//! or to see what they do.

use http::{HeaderMap, Method};
use soma_capability::Operation;
use tokio::time::Instant;
use url::Url;

use super::super::in_flight::MOST_WHOLE;
use super::{SendError, SendHook};
use crate::network::{Attempt, Clients, Judged, Leave, Rule, Sent};

impl SendHook {
    /// By what a request is allowed, and what it goes through. The URL becomes what was matched.
    pub(super) async fn allow(
        &self,
        method: &Method,
        url: &mut Url,
        headers: &HeaderMap,
        body: &mut reqwest::Body,
        deadline: Instant,
    ) -> Result<(Rule<'_>, &Clients, Attempt<'_>), SendError> {
        let leave = self.network.permit(method, url);
        let Leave {
            clients,
            judged,
            attempt,
        } = leave.map_err(|refusal| self.refused(refusal))?;
        let sent = (method, &*url, headers);
        let rule = self.rule(judged, sent, body, deadline).await?;
        Ok((rule, clients, attempt))
    }

    /// What it does at its place, where somebody looks and it is all there. Nothing is collected for
    /// that: the guest sees no difference.
    pub(super) fn operations(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &reqwest::Body,
    ) -> Vec<Operation> {
        let whole = body.as_bytes();
        let Some(body) = whole.filter(|body| body.len() <= MOST_WHOLE as usize) else {
            return Vec::new();
        };
        let sent = Sent {
            method,
            url,
            headers,
            body,
        };
        self.network.operations(&sent)
    }

    /// By what a request is allowed, where its operations have nothing against it.
    async fn rule<'a>(
        &self,
        judged: Judged<'a>,
        (method, url, headers): (&Method, &Url, &HeaderMap),
        body: &mut reqwest::Body,
        deadline: Instant,
    ) -> Result<Rule<'a>, SendError> {
        let unsettled = match judged {
            Judged::Settled(rule) => return Ok(rule),
            Judged::Unsettled(unsettled) => unsettled,
        };
        self.whole(body, deadline).await?;
        let body = body.as_bytes().unwrap_or_default();
        if body.len() > MOST_WHOLE as usize {
            return Err(SendError::TooLarge(MOST_WHOLE.into()));
        }
        let sent = Sent {
            method,
            url,
            headers,
            body,
        };
        let settled = unsettled.settle(&sent);
        settled.map_err(|refusal| self.refused(refusal))
    }

    /// Collects a body that comes in pieces.
    pub(super) async fn whole(
        &self,
        body: &mut reqwest::Body,
        deadline: Instant,
    ) -> Result<(), SendError> {
        if body.as_bytes().is_some() {
            return Ok(());
        }
        let whole = self.whole.clone().collect(std::mem::take(body));
        let whole = tokio::time::timeout_at(deadline, whole).await;
        *body = whole.map_err(|_| SendError::Timeout)??.into();
        Ok(())
    }
}
