//! What a host's answer says, and what it means that there is none.

use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use soma_registry::client::is_loopback;

use super::Client;
use crate::failure::{Exit, Failure};
use crate::problem;

impl Client {
    /// What a response says; the empty value of its type where it says nothing.
    pub(super) async fn read<T: DeserializeOwned + Default>(
        &self,
        response: Response,
    ) -> Result<T, Failure> {
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if status.is_success() && body.is_empty() {
            return Ok(T::default());
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_| self.is_no_host(status));
        }
        match serde_json::from_slice::<Value>(&body) {
            // What no host says, and every marketplace of a path that it does not have.
            Ok(problem) if problem["type"] == "urn:soma:problem:not-found" => {
                let words = format_args!("{} is no host", self.base);
                let failure = Failure::new(Exit::Unreachable, words);
                Err(failure.hint("is it the address of a marketplace?"))
            }
            Ok(problem) => Err(problem::refusal(status.as_u16(), problem)),
            Err(_) => Err(self.is_no_host(status)),
        }
    }

    fn is_no_host(&self, status: StatusCode) -> Failure {
        let base = &self.base;
        let words = format_args!("{base} answered {status}, but not as a soma host does");
        Failure::new(Exit::Unreachable, words).hint("check the URL; is there a proxy in between?")
    }

    /// Why there is no answer.
    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let base = &self.base;
        if error.is_timeout() {
            let words = format_args!("the host at {base} takes too long to answer");
            return Failure::new(Exit::Unreachable, words);
        }
        if !error.is_connect() {
            let words = format_args!("the connection to {base} broke: {cause}");
            return Failure::new(Exit::Unreachable, words)
                .hint("the host may have refused what was sent: its log says why");
        }
        let words = format_args!("no host answers at {base}: {cause}");
        let failure = Failure::new(Exit::Unreachable, words);
        if is_loopback(base) {
            return failure.hint("start it with `soma serve`");
        }
        failure
    }
}
